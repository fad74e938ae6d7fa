// A block of warps that share memory, as base/warp.h has one warp: the GPU's own in a .cu file, elsewhere
// loops; csrc/fuzz/context_threads.cpp has a third kind, whose warps are threads. Bodies are templates of it.
// Plain variables are the same in all threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/warp.h"

#if !defined(__CUDACC__)
#include <thread>
#endif

namespace pycodec {

#if defined(__CUDACC__)

class DeviceBlock {
 public:
  __device__ int warps() const { return static_cast<int>(blockDim.x) / kWarpLanes; }

  // f(i) for every i < count, shared among the threads of the warps from `first` on.
  template <class F>
  __device__ void for_each(size_t count, F f, int first = 0) const {
    const int thread = static_cast<int>(threadIdx.x) - first * kWarpLanes;
    if (thread < 0) return;
    for (size_t i = thread; i < count; i += blockDim.x - first * kWarpLanes) f(i);
  }
  // f(warp, i) for every i < count, shared among the warps from `first` on.
  template <class F>
  __device__ void for_each_warp(int count, F f, int first = 0) const {
    Warp warp;
    const int mine = static_cast<int>(threadIdx.x) / kWarpLanes - first;
    if (mine < 0) return;
    for (int i = mine; i < count; i += warps() - first) f(warp, i);
  }
  // f(warp) in the first warp alone.
  template <class F>
  __device__ void in_first_warp(F f) const {
    Warp warp;
    if (threadIdx.x < kWarpLanes) f(warp);
  }
  __device__ bool is_first_warp() const { return threadIdx.x < kWarpLanes; }
  // f() in one thread.
  template <class F>
  __device__ void once(F f) const {
    if (threadIdx.x == 0) f();
  }
  // What any thread has stored is seen by all.
  __device__ void sync() const { __syncthreads(); }
  // The same among the warps after the first; the first passes by.
  __device__ void sync_others() const {
    if (threadIdx.x >= kWarpLanes) asm volatile("bar.sync 1, %0;" ::"r"(blockDim.x - kWarpLanes) : "memory");
  }
  // Returns once *flag is at least `value`, to every warp that calls; what was stored before the flag was
  // raised can then be seen.
  __device__ void wait(const uint32_t* flag, uint32_t value) const {
    if (threadIdx.x % kWarpLanes == 0) {
      uint32_t have;
      for (;;) {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(have) : "l"(flag) : "memory");
        if (have >= value) break;
        __nanosleep(40);
      }
    }
    __syncwarp();
  }
  // Raises a flag, after a sync.
  __device__ void publish(uint32_t* flag, uint32_t value) const {
    if (threadIdx.x == 0) {
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
    }
  }
};

// Reads what another block has stored, past this multiprocessor's own cache.
template <class T>
__device__ T load_from_other_block(const T* p) {
  return __ldcg(p);
}

#else

class HostBlock {
 public:
  explicit HostBlock(int warps) : warps_(warps) {}
  int warps() const { return warps_; }

  template <class F>
  void for_each(size_t count, F f, int = 0) const {
    for (size_t i = 0; i < count; ++i) f(i);
  }
  template <class F>
  void for_each_warp(int count, F f, int first = 0) const {
    for (int i = 0; i < count; ++i) {
      Warp warp(first + i % (warps_ - first));
      f(warp, i);
    }
  }
  template <class F>
  void in_first_warp(F f) const {
    Warp warp;
    f(warp);
  }
  bool is_first_warp() const { return false; }
  template <class F>
  void once(F f) const {
    f();
  }
  void sync() const {}
  void sync_others() const {}
  void wait(const uint32_t* flag, uint32_t value) const {
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value) std::this_thread::yield();
  }
  void publish(uint32_t* flag, uint32_t value) const { __atomic_store_n(flag, value, __ATOMIC_RELEASE); }

 private:
  int warps_;
};

template <class T>
T load_from_other_block(const T* p) {
  return *p;
}

#endif

}  // namespace pycodec
