// The block of threads that a program runs in, phase by phase. Unlike that of base/block.h, whose warps may
// be at different work, it has a barrier after each phase and nowhere else. On the GPU every thread does its
// part of a phase; on the host one thread or warp after another does, in either order, so that a result that
// depends on the order shows where a barrier is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/warp.h"

namespace pycodec::conv::gpu {

// Programs are structs with
//   Arguments                     what the launch passes by value
//   kThreads, kBlocks             of a block; and how many blocks a multiprocessor's registers must hold
//   shared_slots(arguments)       shared memory they need
//   run(arguments, block)         a static template on the block
// `block.x` and `block.y` tell the blocks of a launch apart.

// What shared memory is made of: as much as one thread reads or writes at once.
struct alignas(16) Slot {
  uint32_t words[4];
};

// Shared memory that a block may have on every GPU from sm_80 on.
constexpr size_t kSharedBytes = 99 * 1024;

#if defined(__CUDACC__)

struct DevicePhasedBlock {
  Slot* shared;
  int x, y;

  // What a warp keeps between phases: registers.
  template <class T>
  struct PerWarp {
    __device__ explicit PerWarp(const DevicePhasedBlock&) {}
    __device__ T& operator[](const Warp&) { return value; }
    T value;
  };

  // f(thread) for all threads.
  template <class F>
  __device__ void each_thread(F f) const {
    f(static_cast<int>(thread()));
    __syncthreads();
  }

  // f(warp) for all warps.
  template <class F>
  __device__ void each_warp(F f) const {
    f(Warp(thread()));
    __syncthreads();
  }

 private:
  // Read anew in every phase, in the eyes of the compiler: else it computes all that depends on it alone in
  // advance and keeps it in registers that the sums need.
  __device__ static unsigned thread() {
    unsigned number;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(number));
    return number;
  }
};

#else

struct HostPhasedBlock {
  Slot* shared;
  int x, y;
  int threads;
  bool reverse;  // the order of threads and warps

  template <class T>
  struct PerWarp {
    explicit PerWarp(const HostPhasedBlock& block) : values(block.threads / kWarpLanes) {
      // Not numbers, so that the use of a register before it is set shows.
      std::memset(static_cast<void*>(values.data()), 0xff, values.size() * sizeof(T));
    }
    T& operator[](const Warp& warp) { return values[warp.index()]; }
    std::vector<T> values;
  };

  template <class F>
  void each(int n, F f) const {
    for (int i = 0; i < n; ++i) f(reverse ? n - 1 - i : i);
  }
  template <class F>
  void each_thread(F f) const {
    each(threads, f);
  }
  template <class F>
  void each_warp(F f) const {
    each(threads / kWarpLanes, [&](int index) { f(Warp(index)); });
  }
};

#endif

}  // namespace pycodec::conv::gpu
