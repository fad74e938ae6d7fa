// parallel_for: n independent tasks on a few threads that live for the call. Tasks here are chunks of about a
// millisecond, so starting threads (tens of microseconds) is cheaper than keeping a pool alive across fork().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pycodec {

// Calls fn(i) once for every i in [0, n), on at most `threads` threads, this one among them. When tasks
// throw, the exception of the smallest i that threw is rethrown here, so that errors do not depend on timing.
template <class Fn>
void parallel_for(size_t n, size_t threads, Fn&& fn) {
  threads = std::min(threads, n);
  if (threads <= 1) {
    for (size_t i = 0; i < n; ++i) fn(i);
    return;
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  size_t error_index = n;
  const auto work = [&] {
    // Every index below a failed one is still run, so the smallest failure is always found.
    for (size_t i = next.fetch_add(1); i < n; i = next.fetch_add(1)) {
      try {
        fn(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (i < error_index) {
          error_index = i;
          error = std::current_exception();
        }
        next.store(n);
      }
    }
  };
  std::vector<std::thread> pool;
  pool.reserve(threads - 1);
  for (size_t t = 1; t < threads; ++t) {
    try {
      pool.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: the ones we have do the work
    }
  }
  work();
  for (std::thread& t : pool) t.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace pycodec
