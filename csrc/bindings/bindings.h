// One function per file of csrc/bindings/, called once from module.cpp; and what several of them need.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "base/error.h"
#include "base/span.h"

// What native code needs of an array's memory: C order, and elements aligned for their type. numpy has
// others, as frombuffer() makes them from any offset.
constexpr int kPlain = pybind11::array::c_style | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_;
// Takes others as a copy, so it is for what is read.
template <class T>
using Array = pybind11::array_t<T, kPlain>;
inline bool is_plain(const pybind11::array& a) { return (a.flags() & kPlain) == kPlain; }

// A plain sequence of bytes.
inline pycodec::Bytes byte_view(const pybind11::buffer_info& info) {
  if (info.itemsize != 1 || info.ndim != 1 || (info.size > 1 && info.strides[0] != 1)) {
    throw pycodec::InvalidArgument("data is not a plain sequence of bytes; pass bytes");
  }
  return {static_cast<const unsigned char*>(info.ptr), static_cast<size_t>(info.size)};
}

void bind_rans(pybind11::module_& m);
void bind_context(pybind11::module_& m);
void bind_context_device(pybind11::module_& m);
void bind_conv(pybind11::module_& m);
void bind_conv_gpu(pybind11::module_& m);
void bind_quantized(pybind11::module_& m);
void bind_device_bytes(pybind11::module_& m);
void bind_rans_device(pybind11::module_& m);
