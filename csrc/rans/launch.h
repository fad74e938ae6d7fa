// The kernels of rans_cuda.cu: each runs its body in so many warps.
#pragma once

#include "base/queue.h"
#include "rans/device_decode.h"
#include "rans/device_encode.h"

namespace pycodec::rans {

void launch(const Classify<TableSource>& body, uint64_t warps, const Queue& queue);
void launch(const Classify<PmfSource>& body, uint64_t warps, const Queue& queue);
void launch(const EncodeChunk& body, uint64_t warps, const Queue& queue);
void launch(const DecodeChunk<TableSource>& body, uint64_t warps, const Queue& queue);
void launch(const DecodeChunk<PmfSource>& body, uint64_t warps, const Queue& queue);

}  // namespace pycodec::rans
