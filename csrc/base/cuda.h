// Launching kernels: what the CUDA runtime answers as an error of ours, and a body that runs once for every
// warp. For .cu files.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/queue.h"
#include "base/warp.h"

namespace pycodec {

// Throws DeviceError unless `status` is success; `what` names what was tried.
inline void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error of this call must not be reported by the next one
  throw DeviceError(std::string(what) + ": CUDA says " + cudaGetErrorName(status) + " (" +
                    cudaGetErrorString(status) + ")");
}

inline cudaStream_t stream_of(const Queue& queue) {
  check_cuda(cudaSetDevice(queue.device), "choosing the device");
  return static_cast<cudaStream_t>(queue.stream);
}

// Lets a kernel be launched with so much shared memory; above 48 KiB it has to be asked for. The limit is the
// kernel's for all threads of the process: always ask for the most that any launch of it may have.
template <class Kernel>
void allow_shared_memory(Kernel kernel, size_t bytes) {
  check_cuda(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      "reserving shared memory");
}

constexpr int kWarpsPerBlock = 4;  // one for each scheduler of a multiprocessor
// That a multiprocessor should hold: leaves 128 registers a thread, and keeps the compiler from saving more.
constexpr int kBlocksAtOnce = 4;

template <class Body>
__global__ void __launch_bounds__(kWarpsPerBlock* kWarpLanes, kBlocksAtOnce)
    run_warps(const __grid_constant__ Body body, uint64_t count) {
  Warp warp;
  const uint64_t index = static_cast<uint64_t>(blockIdx.x) * kWarpsPerBlock + warp.index();
  if (index >= count) return;
  body(warp, index);
}

// Runs body(warp, index) for every index below count, in no order.
template <class Body>
void run_on_device(const Body& body, uint64_t count, const Queue& queue, const char* what) {
  if (count == 0) return;
  const uint64_t blocks = (count + kWarpsPerBlock - 1) / kWarpsPerBlock;
  if (blocks > 0x7fffffff) throw InvalidArgument(std::string(what) + ": too much for one call on a GPU");
  run_warps<<<static_cast<unsigned>(blocks), kWarpsPerBlock * kWarpLanes, 0, stream_of(queue)>>>(body, count);
  check_cuda(cudaGetLastError(), what);
}

}  // namespace pycodec
