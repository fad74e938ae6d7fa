// The encoder's pass and its substreams on a GPU: the launches of context/forward.h and context/substreams.h.
#include "base/cuda.h"
#include "context/launch.h"

namespace pycodec::context {

void launch(const ForwardCodes& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "input codes");
}
void launch(const ForwardLayer& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "a layer");
}
void launch(const ForwardHead& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "the head");
}
void launch(const Intervals& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "intervals");
}
void launch(const EncodeSubstream& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "encoding substreams");
}
void launch(const PutEscapes& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "escapes");
}

}  // namespace pycodec::context
