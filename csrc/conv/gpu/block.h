// The block of threads that a program runs in, phase by phase, with a barrier after each. On the GPU every
// thread does its part of a phase; on the host one thread or warp after another does, in either order, so
// that a result that depends on the order shows where a barrier is missing.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "base/host_device.h"
#include "conv/gpu/warp.h"

namespace pycodec::conv::gpu {

// Programs are structs with
//   Arguments                     what the launch passes by value
//   kThreads, kBlocks             of a block; and how many blocks a multiprocessor's registers must hold
//   shared_slots(arguments)       shared memory they need
//   run(arguments, block)         a static template on the block
// `block.x` and `block.y` tell the blocks of a launch apart.

// Shared memory that a block may have on every GPU from sm_80 on.
constexpr size_t kSharedBytes = 99 * 1024;

#if defined(__CUDACC__)

struct DeviceBlock {
  Slot* shared;
  int x, y;

  // What a warp keeps between phases: registers.
  template <class T>
  struct PerWarp {
    PYCODEC_HD explicit PerWarp(const DeviceBlock&) {}
    PYCODEC_HD T& operator[](const Warp&) { return value; }
    T value;
  };

  // f(thread) for all threads.
  template <class F>
  PYCODEC_HD void each_thread(F f) const {
#if defined(__CUDA_ARCH__)
    f(thread());
    __syncthreads();
#endif
  }

  // f(warp) for all warps.
  template <class F>
  PYCODEC_HD void each_warp(F f) const {
#if defined(__CUDA_ARCH__)
    const int index = thread();
    f(Warp{index / kWarpLanes, index % kWarpLanes});
    __syncthreads();
#endif
  }

 private:
  // Read anew in every phase, in the eyes of the compiler: else it computes all that depends on it alone in
  // advance and keeps it in registers that the sums need.
  PYCODEC_HD static int thread() {
    int index = 0;
#if defined(__CUDA_ARCH__)
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
#endif
    return index;
  }
};

#else

struct HostBlock {
  Slot* shared;
  int x, y;
  int threads;
  bool reverse;  // the order of threads and warps

  template <class T>
  struct PerWarp {
    explicit PerWarp(const HostBlock& block) : values(block.threads / kWarpLanes) {
      // Not numbers, so that the use of a register before it is set shows.
      std::memset(static_cast<void*>(values.data()), 0xff, values.size() * sizeof(T));
    }
    T& operator[](const Warp& warp) { return values[warp.index]; }
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
    each(threads / kWarpLanes, [&](int index) { f(Warp{index}); });
  }
};

#endif

}  // namespace pycodec::conv::gpu
