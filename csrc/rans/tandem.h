// Chunks over threads, a few at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "rans/block_loops.h"

namespace pycodec::rans {

// Calls fn(first, n) so that every chunk is in one call, with n up to `most`. An error does not depend on
// how many they are: it is that of the first chunk that has one.
template <class Fn>
void in_tandem(size_t chunks, size_t threads, size_t most, Fn&& fn) {
  // A thread that comes late, or is held up, leaves its share to the others: so the last groups are small.
  const bool few = chunks <= threads * most;
  std::vector<size_t> firsts{0};  // of every group, and the end
  while (firsts.back() < chunks) {
    const size_t left = chunks - firsts.back();
    const size_t share = ceil_div(few ? chunks : left, threads);
    firsts.push_back(firsts.back() + std::min({left, share, most}));
  }
  parallel_for(firsts.size() - 1, threads, [&](size_t group) {
    const size_t first = firsts[group], n = firsts[group + 1] - first;
    try {
      fn(first, n);
    } catch (...) {
      for (size_t k = 0; n > 1 && k < n; ++k) fn(first + k, 1);
      throw;
    }
  });
}

}  // namespace pycodec::rans
