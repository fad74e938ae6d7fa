// The integer 3D context model for pycodec/coding/context.py, which checks the arrays and words the errors.
#include "context/context.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>

#include "bindings/bindings.h"

namespace py = pybind11;
namespace ctx = pycodec::context;

namespace {

template <class T>
std::vector<T> vector_of(const py::dict& arrays, const std::string& name) {
  if (!arrays.contains(name)) throw pycodec::InvalidArgument("context model: no array " + name);
  const auto a = Array<T>::ensure(arrays[name.c_str()]);
  if (!a) throw py::error_already_set();
  return std::vector<T>(a.data(), a.data() + a.size());
}

ctx::Model make_model(const py::dict& arrays, const std::string& head) {
  ctx::Model m;
  m.head = head == "parametric" ? ctx::Head::kParametric : ctx::Head::kCategorical;
  m.input_map = vector_of<uint8_t>(arrays, "input_map");
  for (int layer = 0; layer < 4; ++layer) {
    m.weights[layer] = vector_of<int8_t>(arrays, "weight" + std::to_string(layer));
    m.multipliers[layer] = vector_of<int32_t>(arrays, "multiplier" + std::to_string(layer));
  }
  if (arrays.contains("weight_earlier")) {
    m.earlier = vector_of<int8_t>(arrays, "weight_earlier");
    const auto bias0 = Array<int32_t>::ensure(arrays["bias0"]);  // [Q][D][k]
    if (!bias0 || bias0.ndim() != 3) throw pycodec::InvalidArgument("context model: bias0 is no table");
    m.planes = static_cast<int>(std::min<py::ssize_t>(bias0.shape(1), ctx::kMaxPlanes + 1));
  }
  m.bias1 = vector_of<int32_t>(arrays, "bias1");
  m.bias2 = vector_of<int32_t>(arrays, "bias2");
  m.residual = vector_of<int32_t>(arrays, "residual");
  const std::vector<uint8_t> constants = vector_of<uint8_t>(arrays, "constants");
  if (constants.size() != 4) throw pycodec::InvalidArgument("context model: constants must have 4 elements");
  std::copy(constants.begin(), constants.end(), m.constants.begin());
  if (m.head == ctx::Head::kCategorical) {
    m.exp_table = vector_of<int32_t>(arrays, "exp_table");
  } else {
    m.table_radius = vector_of<uint8_t>(arrays, "table_radius");
    m.table_frequencies = vector_of<int16_t>(arrays, "table_frequencies");
  }
  m.width = static_cast<int>(m.multipliers[0].size());
  m.outputs = static_cast<int>(m.multipliers[3].size());
  m.prepare();
  return m;
}

// `watch` is None or a function of the number of complete planes. Python calls its signal handlers when it
// runs, so that Ctrl-C ends a call that has one.
ctx::Options options(int threads, const std::string& simd, const py::object& watch = py::none()) {
  ctx::Options made{threads, simd.empty() ? pycodec::simd_in_use() : pycodec::simd_named(simd), {}};
  if (!watch.is_none()) {
    made.watch = [call = watch.ptr()](int planes) {  // a borrowed reference: the arguments outlive the call
      const py::gil_scoped_acquire acquire;
      py::reinterpret_borrow<py::object>(call)(planes);
    };
  }
  return made;
}

ctx::Shape shape_of(const py::array& symbols) {
  if (symbols.ndim() != 3)
    throw pycodec::InvalidArgument("symbols must have three dimensions: planes, height, width");
  // Volumes that do not fit an int are refused with the others that are too large.
  const auto side = [&](int axis) {
    return static_cast<int>(std::min<py::ssize_t>(symbols.shape(axis), 1 << 30));
  };
  return {side(0), side(1), side(2)};
}

ctx::Biases biases_of(const Array<int32_t>& bias0, const Array<int32_t>& bias3) {
  return {{bias0.data(), static_cast<size_t>(bias0.size())},
          {bias3.data(), static_cast<size_t>(bias3.size())}};
}

py::tuple encode(const ctx::Model& model, const Array<int32_t>& symbols, const Array<int32_t>& bias0,
                 const Array<int32_t>& bias3, int threads, const std::string& simd, const py::object& watch) {
  const ctx::Shape shape = shape_of(symbols);
  const ctx::Biases biases = biases_of(bias0, bias3);
  const ctx::Options how = options(threads, simd, watch);
  const pycodec::Span<const int32_t> in(symbols.data(), static_cast<size_t>(symbols.size()));
  std::vector<uint8_t> out;
  double table_seconds;
  {
    const py::gil_scoped_release release;
    out = ctx::encode(model, biases, shape, in, how, &table_seconds);
  }
  return py::make_tuple(py::bytes(reinterpret_cast<const char*>(out.data()), out.size()), table_seconds);
}

// An array to be filled, and its elements.
using Output = py::array_t<int32_t, py::array::c_style>;
pycodec::Span<int32_t> elements(Output& a) {
  if (!is_plain(a)) throw pycodec::InvalidArgument("an array to be filled is not aligned for its dtype");
  return {a.mutable_data(), static_cast<size_t>(a.size())};
}

py::tuple encode_chosen(const ctx::Model& model, Output symbols, const Array<int32_t>& slopes,
                        const Array<int32_t>& curvatures, const Array<int32_t>& bias0,
                        const Array<int32_t>& bias3, int threads, const std::string& simd,
                        const py::object& watch) {
  const ctx::Shape shape = shape_of(symbols);
  const ctx::Biases biases = biases_of(bias0, bias3);
  const ctx::Options how = options(threads, simd, watch);
  const pycodec::Span<int32_t> chosen = elements(symbols);
  const ctx::Tradeoff tradeoff{{slopes.data(), static_cast<size_t>(slopes.size())},
                               {curvatures.data(), static_cast<size_t>(curvatures.size())}};
  std::vector<uint8_t> out;
  double table_seconds;
  {
    const py::gil_scoped_release release;
    out = ctx::encode_chosen(model, biases, shape, chosen, tradeoff, how, &table_seconds);
  }
  return py::make_tuple(py::bytes(reinterpret_cast<const char*>(out.data()), out.size()), table_seconds);
}

void decode(const ctx::Model& model, const py::bytes& data, Output symbols, const Array<int32_t>& bias0,
            const Array<int32_t>& bias3, int threads, const std::string& simd, const py::object& watch) {
  const ctx::Shape shape = shape_of(symbols);
  const ctx::Biases biases = biases_of(bias0, bias3);
  const ctx::Options how = options(threads, simd, watch);
  const std::string_view view = data;
  const pycodec::Bytes in(reinterpret_cast<const unsigned char*>(view.data()), view.size());
  const pycodec::Span<int32_t> out = elements(symbols);
  const py::gil_scoped_release release;
  ctx::decode(model, biases, shape, in, out, how);
}

void tables(const ctx::Model& model, const Array<int32_t>& symbols, Output values,
            const Array<int32_t>& bias0, const Array<int32_t>& bias3, int threads, const std::string& simd) {
  const ctx::Shape shape = shape_of(symbols);
  const ctx::Biases biases = biases_of(bias0, bias3);
  const ctx::Options how = options(threads, simd);
  const pycodec::Span<const int32_t> in(symbols.data(), static_cast<size_t>(symbols.size()));
  const pycodec::Span<int32_t> out = elements(values);
  const py::gil_scoped_release release;
  ctx::tables(model, biases, shape, in, out, how);
}

}  // namespace

void bind_context(py::module_& m) {
  using namespace pybind11::literals;
  py::class_<ctx::Model>(m, "ContextModel").def(py::init(&make_model), "arrays"_a, "head"_a);
  m.def("context_encode", &encode, "model"_a, "symbols"_a.noconvert(), "bias0"_a.noconvert(),
        "bias3"_a.noconvert(), "threads"_a, "simd"_a, "watch"_a = py::none(),
        "Stream of int32 symbols [D, H, W], and the seconds that its tables took; simd is a level's name, or "
        "'' "
        "for the one in use.");
  m.def("context_encode_chosen", &encode_chosen, "model"_a, "symbols"_a.noconvert(), "slopes"_a.noconvert(),
        "curvatures"_a.noconvert(), "bias0"_a.noconvert(), "bias3"_a.noconvert(), "threads"_a, "simd"_a,
        "watch"_a = py::none(),
        "Choose int32 symbols [D, H, W] in place, by slopes [D, H, W] and curvatures [D]; then as "
        "context_encode.");
  m.def("context_decode", &decode, "model"_a, "data"_a, "symbols"_a.noconvert(), "bias0"_a.noconvert(),
        "bias3"_a.noconvert(), "threads"_a, "simd"_a, "watch"_a = py::none(),
        "Fill int32 symbols [D, H, W] from a stream.");
  m.def("context_tables", &tables, "model"_a, "symbols"_a.noconvert(), "values"_a.noconvert(),
        "bias0"_a.noconvert(), "bias3"_a.noconvert(), "threads"_a, "simd"_a,
        "Fill int32 values [outputs, D, H, W] with what the coder uses for each symbol.");
}
