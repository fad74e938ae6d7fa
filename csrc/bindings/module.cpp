// The extension module pycodec._C: what it is made of, and how native errors become Python's.
// Each module of csrc/ has its own binding file, which exposes one bind_* function.
#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

#include "base/cpu_features.h"
#include "base/crc32.h"
#include "base/error.h"
#include "bindings/bindings.h"
#include "build_info.h"

namespace py = pybind11;

namespace {

py::list split(const std::string& text) {
  return text.empty() ? py::list() : py::list(py::str(text).attr("split")(";"));
}

py::dict build_info() {
  py::dict d;
  d["compiler"] = PYCODEC_BUILD_COMPILER;
  d["flags"] = PYCODEC_BUILD_FLAGS;
  d["cuda"] = PYCODEC_BUILD_CUDA != 0;
  d["nvcc"] = PYCODEC_BUILD_NVCC;
  d["cuda_archs"] = split(PYCODEC_BUILD_CUDA_ARCHS);
  d["simd_files"] = split(PYCODEC_BUILD_SIMD_FILES);
  d["platform"] = PYCODEC_BUILD_PLATFORM;
  d["python"] = PYCODEC_BUILD_PYTHON;
  d["pybind11"] = PYCODEC_BUILD_PYBIND11;
  return d;
}

py::list simd_available() {
  py::list names;
  for (pycodec::Simd level : pycodec::simd_available()) names.append(pycodec::simd_name(level));
  return names;
}

// Raises pycodec.errors.<name>(message).
void raise(const char* name, const char* message) {
  const py::object type = py::module_::import("pycodec.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(std::exception_ptr p) {
  try {
    if (p) std::rethrow_exception(p);
  } catch (const pycodec::CorruptStream& e) {
    raise("CorruptStream", e.what());
  } catch (const pycodec::InvalidArgument& e) {
    raise("InvalidInput", e.what());
  } catch (const pycodec::DeviceError& e) {
    raise("DeviceError", e.what());
  } catch (const pycodec::Error& e) {
    raise("PycodecError", e.what());
  }
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "pycodec's native code. Private: use pycodec.coding and pycodec.ops.";
  py::register_exception_translator(translate);
  m.def("build_info", &build_info, "What this extension was built with.");
  m.def("simd_available", &simd_available, "The SIMD levels that can run here, lowest first.");
  m.def(
      "simd_in_use", [] { return pycodec::simd_name(pycodec::simd_in_use()); },
      "The SIMD level in use: the highest available, or what PYCODEC_SIMD says.");
  m.def("has_avx512_bf16", &pycodec::has_avx512_bf16, "Whether this CPU multiplies bfloat16.");
  m.def(
      "crc32",
      [](const py::buffer& data, uint32_t crc) { return pycodec::crc32(byte_view(data.request()), crc); },
      py::arg("data"), py::arg("crc") = 0, "zlib.crc32 as the range coder computes it.");
  bind_rans(m);
  bind_context(m);
  bind_conv(m);
  bind_conv_gpu(m);
  bind_quantized(m);
  bind_device_bytes(m);
  bind_rans_device(m);
  bind_context_device(m);
}
