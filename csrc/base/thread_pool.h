// parallel_for: n independent tasks on a few threads. They are kept for the next call, because a call may
// take less than a millisecond, a large part of which starting threads would be.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>

namespace pycodec {

// A call of parallel_for, on which threads may help.
struct Work {
  void (*run)(void* context);
  void* context;
  size_t wanted = 0;               // helpers that have not come yet; guarded by the pool
  std::atomic<size_t> running{0};  // helpers at work
};

// Asks for helpers; it is no error if none can be had.
void call_helpers(Work& work, size_t count);
// Sends away those that have not come, and waits for the others.
void release_helpers(Work& work);

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
  auto run = [&] {
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
  Work work{[](void* context) { (*static_cast<decltype(run)*>(context))(); }, &run};
  call_helpers(work, threads - 1);
  run();
  release_helpers(work);
  if (error) std::rethrow_exception(error);
}

}  // namespace pycodec
