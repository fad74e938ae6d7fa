// Binds csrc/rans: numpy arrays in place, the GIL released around all coding. Python (pycodec/coding) checks
// arguments for meaning and words the errors; here is checked what memory safety needs.
#include "rans/rans.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bindings/bindings.h"

namespace py = pybind11;
namespace rans = pycodec::rans;
using pycodec::Bytes;
using pycodec::InvalidArgument;

namespace {

// numpy says '=' for this machine's order, and '|' where there is none.
bool is_native(const py::dtype& dtype) { return dtype.byteorder() == '=' || dtype.byteorder() == '|'; }

rans::IntType int_type(const py::array& a, const char* name) {
  const py::dtype dtype = a.dtype();
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (is_native(dtype) && (kind == 'i' || kind == 'u')) {
    if (size == 1) return kind == 'i' ? rans::IntType::kI8 : rans::IntType::kU8;
    if (size == 2) return kind == 'i' ? rans::IntType::kI16 : rans::IntType::kU16;
    if (size == 4) return kind == 'i' ? rans::IntType::kI32 : rans::IntType::kU32;
    if (size == 8 && kind == 'i') return rans::IntType::kI64;
  }
  throw InvalidArgument(std::string(name) + " has dtype " + py::str(a.dtype()).cast<std::string>() +
                        "; expected int8 to int64 or uint8 to uint32");
}

void require_plain(const py::array& a, const char* name) {
  const std::string array = name;
  if ((a.flags() & py::array::c_style) == 0) {
    throw InvalidArgument(array + " is not C-contiguous; pass numpy.ascontiguousarray(" + array + ")");
  }
  if (!is_plain(a)) throw InvalidArgument(array + " is not aligned for its dtype; pass " + array + ".copy()");
}

rans::IntArray in_array(const py::array& a, const char* name) {
  require_plain(a, name);
  return {a.data(), int_type(a, name), static_cast<size_t>(a.size())};
}

// None: an array of size 0.
rans::IntArray index_array(const py::object& o, size_t count) {
  if (o.is_none()) return {};
  const rans::IntArray a = in_array(py::cast<py::array>(o), "indexes");
  if (a.size != count) {
    throw InvalidArgument("there are " + std::to_string(a.size) + " indexes for " + std::to_string(count) +
                          " symbols; expected one each");
  }
  return a;
}

rans::MutableIntArray out_array(py::array& a) {
  require_plain(a, "out");
  if (!a.writeable()) throw InvalidArgument("out is read-only; pass an array that can be written");
  return {a.mutable_data(), int_type(a, "out"), static_cast<size_t>(a.size())};
}

// Runs without the GIL, but for making the bytes.
template <class Encode>
py::bytes encoded(size_t threads, Encode&& encode) {
  rans::EncodedStream stream;
  {
    const py::gil_scoped_release release;
    stream = encode();
  }
  py::bytes out(nullptr, stream.size());
  auto* bytes = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(out.ptr()));
  {
    const py::gil_scoped_release release;
    stream.copy_to(bytes, threads);
  }
  return out;
}

// Float32 or uint16, [rows][classes].
rans::Pmfs pmf_rows(const py::array& a) {
  require_plain(a, "pmfs");
  rans::Pmfs p;
  if (a.ndim() != 2)
    throw InvalidArgument("pmfs has " + std::to_string(a.ndim()) + " dimensions; expected (N, classes)");
  p.rows = static_cast<size_t>(a.shape(0));
  p.classes = static_cast<size_t>(a.shape(1));
  if (p.classes < 1 || p.classes > rans::kMaxPmfClasses) {
    throw InvalidArgument("pmfs has " + std::to_string(p.classes) + " classes; expected 1 to " +
                          std::to_string(rans::kMaxPmfClasses));
  }
  const bool native = is_native(a.dtype());
  if (native && a.dtype().kind() == 'f' && a.itemsize() == 4) {
    p.floats = static_cast<const float*>(a.data());
  } else if (native && a.dtype().kind() == 'u' && a.itemsize() == 2) {
    p.words = static_cast<const uint16_t*>(a.data());
  } else {
    throw InvalidArgument("pmfs has dtype " + py::str(a.dtype()).cast<std::string>() +
                          "; expected float32 or uint16");
  }
  return p;
}

void require_rows(const rans::Pmfs& pmfs, size_t count) {
  if (pmfs.rows != count) {
    throw InvalidArgument("there are " + std::to_string(pmfs.rows) + " rows of pmfs for " +
                          std::to_string(count) + " symbols; expected one each");
  }
}

void require_one_table(const rans::Tables& tables, const py::object& indexes) {
  if (indexes.is_none() && tables.size() != 1) {
    throw InvalidArgument("there are " + std::to_string(tables.size()) +
                          " tables and no indexes; pass indexes, which say the table of each symbol");
  }
}

template <class T>
pycodec::Span<const T> span(const Array<T>& a) {
  return {a.data(), static_cast<size_t>(a.size())};
}

std::shared_ptr<rans::Tables> make_tables(int precision, bool zigzag, const Array<uint16_t>& freqs,
                                          const Array<int32_t>& sizes, const Array<int32_t>& offsets,
                                          const Array<uint8_t>& shifts, const Array<uint8_t>& escapes) {
  rans::Tables::Spec spec;
  spec.precision = precision;
  spec.zigzag = zigzag;
  spec.freqs = span(freqs);
  spec.sizes = span(sizes);
  spec.offsets = span(offsets);
  spec.shifts = span(shifts);
  spec.escapes = span(escapes);
  return std::make_shared<rans::Tables>(spec);
}

rans::Options options(size_t threads, const std::string& simd) {
  return {threads, simd.empty() ? pycodec::simd_in_use() : pycodec::simd_named(simd)};
}

py::bytes encode(const py::array& symbols, const rans::Tables& tables, const py::object& indexes,
                 size_t threads, const std::string& simd) {
  require_one_table(tables, indexes);
  const rans::IntArray s = in_array(symbols, "symbols");
  const rans::IntArray i = index_array(indexes, s.size);
  const rans::Options how = options(threads, simd);
  return encoded(threads, [&] { return rans::encode(s, tables, i, how); });
}

void decode(const py::buffer& data, const rans::Tables& tables, const py::object& indexes, py::array out,
            size_t threads, const std::string& simd) {
  require_one_table(tables, indexes);
  const rans::MutableIntArray o = out_array(out);
  const rans::IntArray i = index_array(indexes, o.size);
  const py::buffer_info info = data.request();
  const Bytes bytes = byte_view(info);
  const rans::Options how = options(threads, simd);
  const py::gil_scoped_release release;
  rans::decode(bytes, tables, i, o, how);
}

py::bytes encode_pmfs(const py::array& symbols, const py::array& pmfs, size_t threads,
                      const std::string& simd) {
  const rans::IntArray s = in_array(symbols, "symbols");
  const rans::Pmfs p = pmf_rows(pmfs);
  require_rows(p, s.size);
  const rans::Options how = options(threads, simd);
  return encoded(threads, [&] { return rans::encode(s, p, how); });
}

void decode_pmfs(const py::buffer& data, const py::array& pmfs, py::array out, size_t threads,
                 const std::string& simd) {
  const rans::Pmfs p = pmf_rows(pmfs);
  const rans::MutableIntArray o = out_array(out);
  require_rows(p, o.size);
  const py::buffer_info info = data.request();
  const Bytes bytes = byte_view(info);
  const rans::Options how = options(threads, simd);
  const py::gil_scoped_release release;
  rans::decode(bytes, p, o, how);
}

constexpr size_t kFew = 1024;

// Keeps alive what the decoder refers to.
class StepDecoder {
 public:
  StepDecoder(const py::buffer& data, std::shared_ptr<rans::Tables> tables)
      : info_(data.request()),
        tables_(std::move(tables)),
        decoder_(byte_view(info_), *tables_, pycodec::simd_in_use()) {}

  uint64_t count() const { return decoder_.count(); }
  uint64_t remaining() const { return decoder_.remaining(); }

  void pull(const py::object& indexes, py::array out) {
    require_one_table(*tables_, indexes);
    const rans::MutableIntArray o = out_array(out);
    const rans::IntArray i = index_array(indexes, o.size);
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock) throw InvalidArgument("another thread is pulling from this decoder; use one decoder a thread");
    // A few symbols take less time than giving the GIL away and getting it back.
    std::optional<py::gil_scoped_release> release;
    if (o.size > kFew) release.emplace();
    decoder_.pull(i, o);
  }

 private:
  py::buffer_info info_;
  std::shared_ptr<rans::Tables> tables_;
  rans::StepDecoder decoder_;
  std::mutex mutex_;
};

}  // namespace

void bind_rans(py::module_& m) {
  py::class_<rans::Tables, std::shared_ptr<rans::Tables>>(m, "RansTables")
      .def(py::init(&make_tables), py::arg("precision"), py::arg("zigzag"), py::arg("freqs"),
           py::arg("sizes"), py::arg("offsets"), py::arg("shifts"), py::arg("escapes"));
  m.def("rans_encode", &encode, py::arg("symbols"), py::arg("tables"), py::arg("indexes"), py::arg("threads"),
        py::arg("simd") = "");
  m.def("rans_decode", &decode, py::arg("data"), py::arg("tables"), py::arg("indexes"), py::arg("out"),
        py::arg("threads"), py::arg("simd") = "");
  m.def("rans_encode_pmfs", &encode_pmfs, py::arg("symbols"), py::arg("pmfs"), py::arg("threads"),
        py::arg("simd") = "");
  m.def("rans_decode_pmfs", &decode_pmfs, py::arg("data"), py::arg("pmfs"), py::arg("out"),
        py::arg("threads"), py::arg("simd") = "");
  py::class_<StepDecoder>(m, "RansStepDecoder")
      .def(py::init<const py::buffer&, std::shared_ptr<rans::Tables>>(), py::arg("data"), py::arg("tables"))
      .def_property_readonly("count", &StepDecoder::count)
      .def_property_readonly("remaining", &StepDecoder::remaining)
      .def("pull", &StepDecoder::pull, py::arg("indexes"), py::arg("out"));
}
