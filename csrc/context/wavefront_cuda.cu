// The decoder on a GPU: the launch of context/plane_decoder.h, a block for every substream.
#include "base/cuda.h"
#include "context/launch.h"

namespace pycodec::context {
namespace {

constexpr int kThreads = kPlaneWarps * kWarpLanes;

extern __shared__ uint4 shared[];

__global__ void __launch_bounds__(kThreads, 1) decode_planes_near(const __grid_constant__ DecodePlanes body) {
  uint8_t* memory = reinterpret_cast<uint8_t*>(shared);
  body(DeviceBlock(), memory, reinterpret_cast<Sums<int32_t>*>(memory + body.layout.partials));
}

// The rest lies in the device's memory, which the caches keep close.
__global__ void __launch_bounds__(kThreads, 1)
    decode_planes_far_partials(const __grid_constant__ DecodePlanes body, size_t bytes) {
  body(DeviceBlock(), reinterpret_cast<uint8_t*>(shared),
       reinterpret_cast<Sums<int32_t>*>(body.job.far_memory + blockIdx.x * bytes));
}

__global__ void __launch_bounds__(kThreads, 1)
    decode_planes_far(const __grid_constant__ DecodePlanes body, size_t bytes) {
  uint8_t* memory = body.job.far_memory + blockIdx.x * bytes;
  body(DeviceBlock(), memory, reinterpret_cast<Sums<int32_t>*>(memory + body.layout.partials));
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
  const size_t near = near_bytes(body.layout, body.model, body.placement);
  const size_t far = far_bytes(body.layout, body.placement);
  if (body.placement == Placement::kNothing) {
    decode_planes_far<<<grid, kThreads, 0, stream>>>(body, far);
  } else if (body.placement == Placement::kAllButPartials) {
    allow_shared_memory(decode_planes_far_partials, shared_memory(queue));
    decode_planes_far_partials<<<grid, kThreads, near, stream>>>(body, far);
  } else {
    allow_shared_memory(decode_planes_near, shared_memory(queue));
    decode_planes_near<<<grid, kThreads, near, stream>>>(body);
  }
  check_cuda(cudaGetLastError(), "decoding planes");
}

}  // namespace pycodec::context
