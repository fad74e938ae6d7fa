// Bulk coding on a GPU: the launches of rans/device_encode.h and rans/device_decode.h.
#include "base/cuda.h"
#include "rans/launch.h"

namespace pycodec::rans {
namespace {

// Tables up to this size are copied to shared memory: two blocks of it fit a multiprocessor of any GPU from
// sm_80 on.
constexpr size_t kSharedTables = 80 * 1024;

__global__ void __launch_bounds__(kWarpsPerBlock* kWarpLanes)
    decode_by_shared_tables(DecodeChunk<TableSource> body, uint64_t warps, size_t bytes) {
  extern __shared__ uint4 shared[];
  const uint4* from = reinterpret_cast<const uint4*>(body.source.tables.tables);
  for (size_t i = threadIdx.x; i < bytes / sizeof(uint4); i += blockDim.x) shared[i] = from[i];
  __syncthreads();
  body.source.tables =
      tables_at(body.source.tables, body.source.classes, reinterpret_cast<const uint8_t*>(shared));
  Warp warp;
  const uint64_t index = static_cast<uint64_t>(blockIdx.x) * kWarpsPerBlock + warp.index();
  if (index >= warps) return;
  body(warp, index);
}

}  // namespace

void launch(const Classify<TableSource>& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "classifying symbols");
}
void launch(const Classify<PmfSource>& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "classifying symbols");
}
void launch(const EncodeChunk& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "encoding chunks");
}
void launch(const DecodeChunk<PmfSource>& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "decoding chunks");
}

void launch(const DecodeChunk<TableSource>& body, uint64_t warps, const Queue& queue) {
  const size_t bytes = (flat_tables_bytes(body.source.tables, body.source.classes) + 15) / 16 * 16;
  if (bytes > kSharedTables) return run_on_device(body, warps, queue, "decoding chunks");
  const cudaStream_t stream = stream_of(queue);
  allow_shared_memory(decode_by_shared_tables, kSharedTables);
  const uint64_t blocks = (warps + kWarpsPerBlock - 1) / kWarpsPerBlock;
  if (blocks > 0x7fffffff) throw InvalidArgument("decoding chunks: too many for one call on a GPU");
  decode_by_shared_tables<<<static_cast<unsigned>(blocks), kWarpsPerBlock * kWarpLanes, bytes, stream>>>(
      body, warps, bytes);
  check_cuda(cudaGetLastError(), "decoding chunks");
}

}  // namespace pycodec::rans
