// The programs of gpu/ as CUDA kernels: one kernel template, and its launch.
#include "base/cuda.h"
#include "conv/gpu/launch.h"

namespace pycodec::conv::gpu {
namespace {

template <class Program>
__global__ void __launch_bounds__(Program::kThreads, Program::kBlocks)
    kernel(const __grid_constant__ typename Program::Arguments arguments) {
  extern __shared__ Slot shared[];
  Program::run(arguments,
               DevicePhasedBlock{shared, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y)});
}

constexpr const char* kWhat = "masked_conv3d on the GPU";

}  // namespace

template <class Program>
int Device::blocks_at_once(size_t shared_slots) const {
  const size_t bytes = shared_slots * sizeof(Slot);
  check_cuda(cudaSetDevice(index), kWhat);
  allow_shared_memory(kernel<Program>, kSharedBytes);
  int processors = 0, blocks = 0;
  check_cuda(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, index), kWhat);
  check_cuda(
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel<Program>, Program::kThreads, bytes),
      kWhat);
  return processors * blocks;
}

template <class Program>
void Device::run(const typename Program::Arguments& arguments, int x, int y) const {
  const dim3 grid(static_cast<unsigned>(x), static_cast<unsigned>(y));
  const size_t bytes = Program::shared_slots(arguments) * sizeof(Slot);
  kernel<Program><<<grid, Program::kThreads, bytes, static_cast<cudaStream_t>(stream)>>>(arguments);
  check_cuda(cudaGetLastError(), kWhat);
}

PYCODEC_CONV_GPU_FUNCTIONS(Device);

}  // namespace pycodec::conv::gpu
