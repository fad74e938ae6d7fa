// Where kernels run, and the loop that runs them on the host.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/warp.h"
#include "build_info.h"

namespace pycodec {

// A stream of a CUDA device, or (device < 0) this thread: the same kernels as a plain loop, to test them
// without a GPU.
struct Queue {
  int device = -1;
  void* stream = nullptr;

  bool on_host() const { return device < 0; }
};

#if !defined(__CUDACC__)
// Runs body(warp, index) for every index below count.
template <class Body>
void run_on_host(const Body& body, uint64_t count) {
  for (uint64_t index = 0; index < count; ++index) {
    Warp warp;
    body(warp, index);
  }
}

// The same where the queue says; on a GPU by `launch`, which stands beside the body in its namespace.
template <class Body>
void run(const Body& body, uint64_t count, const Queue& queue) {
  if (queue.on_host()) return run_on_host(body, count);
#if PYCODEC_BUILD_CUDA
  launch(body, count, queue);
#else
  throw Error("this build of pycodec has no CUDA");
#endif
}
#endif

}  // namespace pycodec
