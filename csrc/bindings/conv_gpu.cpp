// Masked 3D convolution on GPUs, for pycodec/ops/masked_conv3d.py, which checks the tensors: they cross as
// addresses, contiguous, in the device's memory. Beside each function is one that executes the same kernels
// on the host.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>

#include "base/error.h"
#include "bindings/bindings.h"
#include "build_info.h"
#include "conv/gpu/gpu.h"

namespace py = pybind11;
namespace conv = pycodec::conv;
namespace gpu = pycodec::conv::gpu;

namespace {

using Address = uintptr_t;
using Sizes = std::array<int64_t, 6>;  // batch, inputs, outputs, planes, height, width

void require(bool condition, const char* what) {
  if (!condition) throw pycodec::InvalidArgument(std::string("masked_conv3d: ") + what);
}

conv::Shape shape_of(const Sizes& sizes) {
  for (int64_t n : sizes) require(n >= 0 && n <= 1 << 24, "a dimension is negative or above 2^24");
  const auto size = [&](int i) { return static_cast<int>(sizes[i]); };
  return {size(0), size(1), size(2), size(3), size(4), size(5)};
}

conv::Element element(bool bfloat16) { return bfloat16 ? conv::Element::kBFloat16 : conv::Element::kFloat32; }

template <class T = void>
T* memory(Address address) {
  return reinterpret_cast<T*>(address);
}

// A place to compute from two numbers: a CUDA device and the stream, or for an emulation the blocks that run
// at a time and whether their threads take turns in reverse.
template <class Where>
Where place(int64_t first, Address second);
#if PYCODEC_BUILD_CUDA
template <>
gpu::Device place(int64_t device, Address stream) {
  return {static_cast<int>(device), memory(stream)};
}
#endif
template <>
gpu::Emulation place(int64_t blocks, Address reverse) {
  require(blocks >= 1 && blocks <= 1 << 24, "blocks must be at least 1");
  return {static_cast<int>(blocks), reverse != 0};
}

template <class Where>
void forward(Address x, Address weight, Address bias, Address y, const Sizes& sizes, bool bfloat16,
             bool include_center, int64_t first, Address second) {
  const Where where = place<Where>(first, second);
  const conv::Shape shape = shape_of(sizes);
  const py::gil_scoped_release release;
  gpu::forward(where, shape, element(bfloat16), memory(x), memory(weight), memory(bias), memory(y),
               include_center);
}

template <class Where>
void input_gradient(Address grad, Address weight, Address grad_x, const Sizes& sizes, bool bfloat16,
                    bool include_center, int64_t first, Address second) {
  const Where where = place<Where>(first, second);
  const conv::Shape shape = shape_of(sizes);
  const py::gil_scoped_release release;
  gpu::input_gradient(where, shape, element(bfloat16), memory(grad), memory(weight), memory(grad_x),
                      include_center);
}

template <class Where>
size_t workspace(const Sizes& sizes, bool bfloat16, bool include_center, int64_t first, Address second) {
  return gpu::workspace(place<Where>(first, second), shape_of(sizes), element(bfloat16), include_center);
}

template <class Where>
void weight_gradient(Address x, Address grad, Address grad_weight, Address grad_bias, Address workspace,
                     const Sizes& sizes, bool bfloat16, bool include_center, int64_t first, Address second) {
  const Where where = place<Where>(first, second);
  const conv::Shape shape = shape_of(sizes);
  const py::gil_scoped_release release;
  gpu::weight_gradient(where, shape, element(bfloat16), memory(x), memory(grad), memory(grad_weight),
                       memory(grad_bias), memory<float>(workspace), include_center);
}

template <class Where>
void bind(py::module_& m, const std::string& suffix) {
  m.def(
      ("masked_conv3d_" + suffix).c_str(), &forward<Where>,
      "(x, weight, bias or 0, y, sizes, bfloat16, include_center, device, stream); sizes are batch, inputs, "
      "outputs, planes, height and width.");
  m.def(("masked_conv3d_input_gradient_" + suffix).c_str(), &input_gradient<Where>,
        "(grad, weight, grad_x, sizes, bfloat16, include_center, device, stream)");
  m.def(("masked_conv3d_workspace_" + suffix).c_str(), &workspace<Where>,
        "(sizes, bfloat16, include_center, device, stream) -> floats that the gradient of the weights works "
        "in");
  m.def(("masked_conv3d_weight_gradient_" + suffix).c_str(), &weight_gradient<Where>,
        "(x, grad, grad_weight, grad_bias or 0, workspace, sizes, bfloat16, include_center, device, stream)");
}

}  // namespace

void bind_conv_gpu(py::module_& m) {
  bind<gpu::Emulation>(m, "emulated");
#if PYCODEC_BUILD_CUDA
  bind<gpu::Device>(m, "cuda");
#endif
}
