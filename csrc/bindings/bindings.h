// One function per file of csrc/bindings/, called once from module.cpp.
#pragma once

#include <pybind11/pybind11.h>

void bind_rans(pybind11::module_& m);
void bind_context(pybind11::module_& m);
void bind_context_device(pybind11::module_& m);
void bind_conv(pybind11::module_& m);
void bind_conv_gpu(pybind11::module_& m);
void bind_quantized(pybind11::module_& m);
void bind_device_bytes(pybind11::module_& m);
void bind_rans_device(pybind11::module_& m);
