// Chunks over threads, a few at a time.
#pragma once

#include <algorithm>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "rans/block_loops.h"

namespace pycodec::rans {

// Calls fn(first, n) so that every chunk is in one call, with n up to `most`. An error does not depend on
// how many they are: it is that of the first chunk that has one.
template <class Fn>
void in_tandem(size_t chunks, size_t threads, size_t most, Fn&& fn) {
  const size_t together = std::max<size_t>(1, std::min(most, chunks / threads));
  parallel_for(ceil_div(chunks, together), threads, [&](size_t task) {
    const size_t first = task * together, n = std::min(together, chunks - first);
    try {
      fn(first, n);
    } catch (...) {
      for (size_t k = 0; n > 1 && k < n; ++k) fn(first + k, 1);
      throw;
    }
  });
}

}  // namespace pycodec::rans
