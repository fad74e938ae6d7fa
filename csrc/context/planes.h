// Runs the steps of all planes in the order their dependencies allow, on one thread or several.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "context/evaluator.h"

namespace pycodec::context {

// Calls visit(plane, step, values, codes) once for every step of every plane, after the step's tables are in
// `values` (as Evaluator::evaluate leaves them); visit writes the input codes of the step's symbols to
// `codes`.
//
// Planes are taken up in rising order, at most `threads` at a time, each kPlaneLag steps behind the one
// before; so plane d never starts before plane d - threads is complete. The evaluator needs threads + 1
// slots. What visit throws is rethrown; if several planes fail, what the first of them threw.
template <class Visit>
void run_planes(Evaluator& evaluator, const Model& model, Shape shape, int threads, const Visit& visit) {
  const int steps = step_count(shape);
  std::unique_ptr<std::atomic<int>[]> done(new std::atomic<int>[shape.planes]);
  for (int d = 0; d < shape.planes; ++d) done[d].store(0, std::memory_order_relaxed);
  std::atomic<int> failed{shape.planes};  // the lowest plane that threw

  parallel_for(shape.planes, threads, [&](size_t index) {
    const int plane = static_cast<int>(index);
    const auto wait_for = [&](int other, int count) {
      if (other < 0) return count;
      int have;
      while ((have = done[other].load(std::memory_order_acquire)) < count) {
        if (failed.load() < plane)
          throw Error("an earlier plane failed");  // never seen: that error goes first
        std::this_thread::yield();
      }
      return have;
    };
    try {
      std::vector<int32_t> values(evaluator.stride() * (model.outputs + 1));
      std::vector<uint8_t> codes(evaluator.stride());
      wait_for(plane - threads, steps);
      int ahead = 0;  // known progress of the previous plane
      for (int t = 0; t < steps; ++t) {
        const int need = std::min(t + kPlaneLag, steps);
        if (ahead < need) ahead = wait_for(plane - 1, need);
        evaluator.evaluate(plane, t, values.data());
        visit(plane, t, values.data(), codes.data());
        evaluator.store(plane, t, codes.data());
        done[plane].store(t + 1, std::memory_order_release);
      }
    } catch (...) {
      int lowest = failed.load();
      while (plane < lowest && !failed.compare_exchange_weak(lowest, plane)) {
      }
      throw;
    }
  });
}

}  // namespace pycodec::context
