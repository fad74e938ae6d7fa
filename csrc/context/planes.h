// Runs the steps of all planes in the order their dependencies allow, on one thread or several.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/thread_pool.h"
#include "context/steps.h"

namespace pycodec::context {

// Steps that a plane has completed; on a cache line of its own, since another thread waits for it.
struct alignas(64) Progress {
  std::atomic<int> done{0};

  // Returns once `count` steps are complete, with how many are, or throws when a plane below `plane` failed.
  int wait(int count, int plane, const std::atomic<int>& failed) const {
    int have;
    for (int turns = 0; (have = done.load(std::memory_order_acquire)) < count; ++turns) {
      if (failed.load(std::memory_order_relaxed) < plane)
        throw Error("an earlier plane failed");  // never seen: that error goes first
      if (turns >= kPatience) std::this_thread::yield();
#if defined(__x86_64__)
      else
        __builtin_ia32_pause();
#endif
    }
    return have;
  }

 private:
  static constexpr int kPatience = 200;  // some steps of a small image; after it, others may need the core
};

// For every plane calls `start(plane)`, and what that returned with every step of the plane in order.
//
// Planes are taken up in rising order, at most `threads` at a time, step t of each after step
// t + steps.reach() of the one before; so plane d never starts before plane d - threads is complete, and an
// evaluator needs threads + 1 slots. What a step throws is rethrown; if several planes fail, what the first
// of them threw. `watch`, if any, is called as `Options` says.
template <class Start>
void run_planes(const Steps& steps, int planes, int threads, const std::function<void(int)>& watch,
                const Start& start) {
  const int count = steps.count(), lag = steps.reach() + 1;
  const std::unique_ptr<Progress[]> progress(new Progress[planes]);
  std::atomic<int> failed{planes};  // the lowest plane that threw
  std::atomic<int> complete{0};
  const std::thread::id caller = std::this_thread::get_id();

  parallel_for(planes, threads, [&](size_t index) {
    const int plane = static_cast<int>(index);
    try {
      auto run_step = start(plane);
      if (plane >= threads) progress[plane - threads].wait(count, plane, failed);
      int ahead = plane == 0 ? count : 0;  // known progress of the previous plane
      for (int t = 0; t < count; ++t) {
        const int need = std::min(t + lag, count);
        if (ahead < need) ahead = progress[plane - 1].wait(need, plane, failed);
        run_step(t);
        progress[plane].done.store(t + 1, std::memory_order_release);
      }
      const int planes_done = ++complete;
      if (watch && planes_done < planes && std::this_thread::get_id() == caller) watch(planes_done);
    } catch (...) {
      int lowest = failed.load();
      while (plane < lowest && !failed.compare_exchange_weak(lowest, plane)) {
      }
      throw;
    }
  });
  if (watch) watch(planes);
}

}  // namespace pycodec::context
