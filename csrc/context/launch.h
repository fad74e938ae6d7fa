// The kernels of forward_cuda.cu and wavefront_cuda.cu: each runs its body in so many warps or blocks.
#pragma once

#include "base/queue.h"
#include "context/forward.h"
#include "context/plane_decoder.h"
#include "context/substreams.h"

namespace pycodec::context {

void launch(const ForwardCodes& body, uint64_t warps, const Queue& queue);
void launch(const ForwardLayer& body, uint64_t warps, const Queue& queue);
void launch(const ForwardHead& body, uint64_t warps, const Queue& queue);
void launch(const Intervals& body, uint64_t warps, const Queue& queue);
void launch(const EncodeSubstream& body, uint64_t warps, const Queue& queue);
void launch(const PutEscapes& body, uint64_t warps, const Queue& queue);

constexpr int kPlaneWarps = 12;  // the first one decodes; 9 tiles of a layer of a Kodak image, and some more
void launch(const DecodePlanes& body, uint64_t blocks, const Queue& queue);

// Bytes of a multiprocessor's memory that one block may have.
size_t shared_memory(const Queue& queue);

}  // namespace pycodec::context
