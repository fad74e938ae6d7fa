// Masked 3D convolution for pycodec/ops/masked_conv3d.py, which checks the tensors and words the errors.
// Arrays are float32, or int16 for the bits of bfloat16, which numpy does not know.
#include "conv/conv.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "base/error.h"
#include "bindings/bindings.h"

namespace py = pybind11;
namespace conv = pycodec::conv;

namespace {

void require(bool condition, const char* what) {
  if (!condition) throw pycodec::InvalidArgument(std::string("masked_conv3d: ") + what);
}

conv::Element element_of(const py::array& a) {
  if (a.dtype().is(py::dtype::of<float>())) return conv::Element::kFloat32;
  require(a.dtype().is(py::dtype::of<int16_t>()), "arrays must be float32, or int16 for bfloat16");
  return conv::Element::kBFloat16;
}

void check_array(const py::array& a, const py::array& like, py::ssize_t dimensions) {
  require(a.ndim() == dimensions, "an array has the wrong number of dimensions");
  require(element_of(a) == element_of(like), "arrays must be of one type");
  require(is_plain(a), "arrays must be C-contiguous and aligned");
}

conv::Shape shape_of(const py::array& x, const py::array& weight, const py::array& y) {
  check_array(x, x, 5);
  check_array(y, x, 5);
  check_array(weight, x, 5);
  require(weight.shape(2) == 2 && weight.shape(3) == 3 && weight.shape(4) == 3, "weights must be 2 x 3 x 3");
  require(weight.shape(0) == y.shape(1) && weight.shape(1) == x.shape(1), "channels do not match");
  for (int i : {0, 2, 3, 4}) require(x.shape(i) == y.shape(i), "volumes do not match");
  const auto size = [&](const py::array& a, int i) {
    require(a.shape(i) <= 1 << 24, "a dimension is above 2^24");
    return static_cast<int>(a.shape(i));
  };
  return {size(x, 0), size(x, 1), size(y, 1), size(x, 2), size(x, 3), size(x, 4)};
}

conv::Options options(bool include_center, int threads, const std::string& simd) {
  require(threads >= 1, "threads must be at least 1");
  return {include_center, threads, simd.empty() ? pycodec::simd_in_use() : pycodec::simd_named(simd)};
}

void forward(const py::array& x, const py::array& weight, const py::object& bias, py::array y,
             bool include_center, int threads, const std::string& simd) {
  const conv::Shape shape = shape_of(x, weight, y);
  const conv::Options o = options(include_center, threads, simd);
  const void* bias_data = nullptr;
  if (!bias.is_none()) {
    const auto array = py::reinterpret_borrow<py::array>(bias);
    check_array(array, x, 1);
    require(array.shape(0) == shape.outputs, "the bias has the wrong length");
    bias_data = array.data();
  }
  const conv::Element type = element_of(x);
  void* out = y.mutable_data();
  const py::gil_scoped_release release;
  conv::forward(shape, type, x.data(), weight.data(), bias_data, out, o);
}

void input_gradient(const py::array& grad, const py::array& weight, py::array grad_x, bool include_center,
                    int threads, const std::string& simd) {
  const conv::Shape shape = shape_of(grad_x, weight, grad);
  const conv::Options o = options(include_center, threads, simd);
  const conv::Element type = element_of(grad);
  void* out = grad_x.mutable_data();
  const py::gil_scoped_release release;
  conv::input_gradient(shape, type, grad.data(), weight.data(), out, o);
}

void weight_gradient(const py::array& x, const py::array& grad, py::array grad_weight, bool include_center,
                     int threads, const std::string& simd) {
  const conv::Shape shape = shape_of(x, grad_weight, grad);
  const conv::Options o = options(include_center, threads, simd);
  const conv::Element type = element_of(x);
  void* out = grad_weight.mutable_data();
  const py::gil_scoped_release release;
  conv::weight_gradient(shape, type, x.data(), grad.data(), out, o);
}

}  // namespace

void bind_conv(py::module_& m) {
  m.def("masked_conv3d", &forward, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("y"),
        py::arg("include_center"), py::arg("threads") = 1, py::arg("simd") = "",
        "Writes y [N, outputs, D, H, W] for x [N, inputs, D, H, W], weight [outputs, inputs, 2, 3, 3].");
  m.def("masked_conv3d_input_gradient", &input_gradient, py::arg("grad"), py::arg("weight"),
        py::arg("grad_x"), py::arg("include_center"), py::arg("threads") = 1, py::arg("simd") = "");
  m.def("masked_conv3d_weight_gradient", &weight_gradient, py::arg("x"), py::arg("grad"),
        py::arg("grad_weight"), py::arg("include_center"), py::arg("threads") = 1, py::arg("simd") = "");
}
