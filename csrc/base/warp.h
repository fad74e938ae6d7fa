// A warp: 32 lanes in lockstep. A kernel's body is written once against `Warp`; in a .cu file that is the
// GPU's own, elsewhere a loop over lanes, so that tests without a GPU run the body itself, its indexing and
// its words, and only synchronisation and launching are the GPU's alone.
//
// What every lane has of its own is an Each<T>, and is touched in `each`, whose function gets the lane's
// number. Plain variables are the same in all lanes.
#pragma once

#include <cstdint>

#include "base/host_device.h"

#if defined(__CUDACC__)
#define PYCODEC_KERNEL __device__
#else
#define PYCODEC_KERNEL
#endif

namespace pycodec {

constexpr int kWarpLanes = 32;

// Of a set of lanes: those below a lane, how many there are, the lowest (the set not being empty).
PYCODEC_HD constexpr uint32_t lanes_below(int lane) { return (uint32_t{1} << lane) - 1; }
PYCODEC_HD inline int lane_count(uint32_t lanes) {
#if defined(__CUDA_ARCH__)
  return __popc(lanes);
#else
  return __builtin_popcount(lanes);
#endif
}
PYCODEC_HD inline int lowest_lane(uint32_t lanes) {
#if defined(__CUDA_ARCH__)
  return __ffs(static_cast<int>(lanes)) - 1;
#else
  return __builtin_ctz(lanes);
#endif
}

#if defined(__CUDACC__)

class DeviceWarp {
 public:
  // That of a thread of the block: of the one that runs, unless its number is given.
  __device__ explicit DeviceWarp(unsigned thread = threadIdx.x) : thread_(thread) {}
  // In the block.
  __device__ int index() const { return static_cast<int>(thread_ / kWarpLanes); }

  template <class T>
  struct Each {
    __device__ T& operator[](int) { return value; }
    __device__ const T& operator[](int) const { return value; }
    T value;
  };

  template <class F>
  __device__ void each(F f) const {
    f(lane());
  }
  // The lanes for which f is true.
  template <class F>
  __device__ uint32_t ballot(F f) const {
    return __ballot_sync(~0u, f(lane()));
  }
  // Bitwise or of what f gives for every lane.
  template <class F>
  __device__ uint32_t either(F f) const {
    return __reduce_or_sync(~0u, f(lane()));
  }
  // The same with exclusive or.
  template <class F>
  __device__ uint32_t odd(F f) const {
    return __reduce_xor_sync(~0u, f(lane()));
  }
  // The value of one lane.
  template <class T>
  __device__ T read(const Each<T>& from, int source) const {
    return __shfl_sync(~0u, from.value, source);
  }
  // The value of lane source(lane).
  template <class T, class F>
  __device__ Each<T> shuffle(const Each<T>& from, F source) const {
    return {__shfl_sync(~0u, from.value, source(lane()))};
  }
  // Replaces every value by the sum of those of the lanes below, and gives the sum of all.
  template <class T>
  __device__ T exclusive_sum(Each<T>& values) const {
    T sum = values.value;
    for (int distance = 1; distance < kWarpLanes; distance *= 2) {
      const T below = __shfl_up_sync(~0u, sum, distance);
      if (lane() >= distance) sum += below;
    }
    values.value = sum - values.value;
    return __shfl_sync(~0u, sum, kWarpLanes - 1);
  }
  // What lanes have stored is seen by the others.
  __device__ void sync() const { __syncwarp(); }

 private:
  __device__ int lane() const { return static_cast<int>(thread_ % kWarpLanes); }
  unsigned thread_;
};

using Warp = DeviceWarp;

__device__ inline void atomic_add(uint64_t* p, uint64_t value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(value));
}
__device__ inline uint32_t atomic_add(uint32_t* p, uint32_t value) { return atomicAdd(p, value); }
__device__ inline void atomic_min(uint64_t* p, uint64_t value) {
  atomicMin(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(value));
}
__device__ inline void atomic_xor(uint32_t* p, uint32_t value) { atomicXor(p, value); }
// A hint that *p will be read soon.
__device__ inline void prefetch(const void* p) { asm volatile("prefetch.global.L1 [%0];" ::"l"(p)); }

#else

class HostWarp {
 public:
  explicit HostWarp(int index = 0) : index_(index) {}
  int index() const { return index_; }

  template <class T>
  struct Each {
    T& operator[](int lane) { return values[lane]; }
    const T& operator[](int lane) const { return values[lane]; }
    T values[kWarpLanes];
  };

  template <class F>
  void each(F f) const {
    for (int lane = 0; lane < kWarpLanes; ++lane) f(lane);
  }
  template <class F>
  uint32_t ballot(F f) const {
    return either([&](int lane) { return static_cast<uint32_t>(f(lane)) << lane; });
  }
  template <class F>
  uint32_t either(F f) const {
    uint32_t all = 0;
    each([&](int lane) { all |= f(lane); });
    return all;
  }
  template <class F>
  uint32_t odd(F f) const {
    uint32_t all = 0;
    each([&](int lane) { all ^= f(lane); });
    return all;
  }
  template <class T>
  T read(const Each<T>& from, int source) const {
    return from[source & (kWarpLanes - 1)];
  }
  template <class T, class F>
  Each<T> shuffle(const Each<T>& from, F source) const {
    Each<T> to;
    each([&](int lane) { to[lane] = from[source(lane) & (kWarpLanes - 1)]; });
    return to;
  }
  template <class T>
  T exclusive_sum(Each<T>& values) const {
    T sum = 0;
    each([&](int lane) {
      const T value = values[lane];
      values[lane] = sum;
      sum += value;
    });
    return sum;
  }
  void sync() const {}

 private:
  int index_;
};

using Warp = HostWarp;

inline void atomic_add(uint64_t* p, uint64_t value) { __atomic_fetch_add(p, value, __ATOMIC_RELAXED); }
inline uint32_t atomic_add(uint32_t* p, uint32_t value) {
  return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
inline void atomic_min(uint64_t* p, uint64_t value) {
  uint64_t have = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value < have &&
         !__atomic_compare_exchange_n(p, &have, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}
inline void atomic_xor(uint32_t* p, uint32_t value) { __atomic_fetch_xor(p, value, __ATOMIC_RELAXED); }
inline void prefetch(const void*) {}

#endif

template <class T>
using Each = Warp::Each<T>;

}  // namespace pycodec
