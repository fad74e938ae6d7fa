// The decoder on a GPU: the launch of context/plane_decoder.h, a block for every substream.
#include "base/cuda.h"
#include "context/launch.h"

namespace pycodec::context {
namespace {

constexpr int kThreads = kPlaneWarps * kWarpLanes;

// With everything in shared memory.
__global__ void __launch_bounds__(kThreads, 1) decode_planes_near(const __grid_constant__ DecodePlanes body) {
  extern __shared__ uint4 shared[];
  body(DeviceBlock(), reinterpret_cast<uint8_t*>(shared));
}

// With everything in the device's memory, which the caches keep close.
__global__ void __launch_bounds__(kThreads, 1) decode_planes_far(const __grid_constant__ DecodePlanes body) {
  body(DeviceBlock(), body.job.near_memory + blockIdx.x * body.layout.bytes);
}

}  // namespace

size_t shared_memory(const Queue& queue) {
  int bytes = 0;
  check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, queue.device),
             "asking for shared memory");
  return static_cast<size_t>(bytes);
}

void launch(const DecodePlanes& body, uint64_t blocks, const Queue& queue) {
  const cudaStream_t stream = stream_of(queue);
  const unsigned grid = static_cast<unsigned>(blocks);
  if (body.layout.bytes > shared_memory(queue)) {
    decode_planes_far<<<grid, kThreads, 0, stream>>>(body);
  } else {
    const size_t bytes = body.layout.bytes + (body.copies_weights ? body.model.weight_bytes : 0);
    check_cuda(cudaFuncSetAttribute(decode_planes_near, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(bytes)),
               "reserving shared memory");
    decode_planes_near<<<grid, kThreads, bytes, stream>>>(body);
  }
  check_cuda(cudaGetLastError(), "decoding planes");
}

}  // namespace pycodec::context
