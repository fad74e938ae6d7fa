// Code for a warp, written once: compiled by nvcc it is one lane's share of the work, compiled for the host
// it does the work of all 32 lanes. What differs between the two is all in this file and in block.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/bfloat16.h"
#include "base/host_device.h"

namespace pycodec::conv::gpu {

constexpr int kWarpLanes = 32;

// What shared memory is made of: as much as one thread reads or writes at once.
struct alignas(16) Slot {
  uint32_t words[4];
};

// A value for each lane of a warp.
template <class T>
struct Each {
#if defined(__CUDA_ARCH__)
  __device__ T& operator[](int) { return value; }
  T value;
#else
  PYCODEC_HD T& operator[](int lane) { return values[lane]; }
  T values[kWarpLanes];
#endif
};

// A warp at work in one phase.
struct Warp {
  int index;  // in the block

  template <class F>
  PYCODEC_HD void each(F f) const {
#if defined(__CUDA_ARCH__)
    f(lane);
#else
    for (int lane = 0; lane < kWarpLanes; ++lane) f(lane);
#endif
  }

#if defined(__CUDA_ARCH__)
  int lane;
#endif
};

// --- Matrices of bfloat16, as mma.m16n8k16 has them; positions of elements are those of the PTX ISA ---

template <class T, int N>
struct Registers {
  T at[N];
};
template <int N>
using Matrices = Each<Registers<uint32_t, N>>;  // N matrices of 8 x 8, two elements a register
using Sums = Each<Registers<float, 4>>;         // 16 x 8

// Element of the 16 x 8 sums that a lane has in a register.
PYCODEC_HD constexpr int sum_row(int lane, int at) { return lane / 4 + at / 2 * 8; }
PYCODEC_HD constexpr int sum_column(int lane, int at) { return lane % 4 * 2 + at % 2; }

// Row r of matrix m is the slot at address(8 m + r); the matrix is transposed if `kTransposed`. One matrix is
// [row lane / 4][columns 2 (lane % 4), + 1].
template <bool kTransposed, int N, class Address>
PYCODEC_HD void load_matrices(const Warp& warp, Matrices<N>& to, Address address) {
  static_assert(N == 2 || N == 4);
#if defined(__CUDA_ARCH__)
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(address(warp.lane)));
  uint32_t* r = to[0].at;
  if constexpr (N == 2 && !kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (N == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (!kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  }
#else
  (void)warp;
  for (int m = 0; m < N; ++m) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) memcpy(matrix[row], address(8 * m + row), sizeof matrix[row]);
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      const int major = lane / 4, minor = lane % 4 * 2;
      const uint32_t low = kTransposed ? matrix[minor][major] : matrix[major][minor];
      const uint32_t high = kTransposed ? matrix[minor + 1][major] : matrix[major][minor + 1];
      to[lane].at[m] = low | high << 16;
    }
  }
#endif
}

// sums += a * b, with a [16][16] in four matrices: rows 0 and 8 of columns 0, then of columns 8; and b
// [16][8] in two, transposed.
PYCODEC_HD inline void multiply_add(Sums& sums, Matrices<4>& a, Matrices<2>& b) {
#if defined(__CUDA_ARCH__)
  float* c = sums[0].at;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0].at[0]), "r"(a[0].at[1]), "r"(a[0].at[2]), "r"(a[0].at[3]), "r"(b[0].at[0]), "r"(b[0].at[1]));
#else
  float left[16][16], right[16][8];
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    const int group = lane / 4;
    for (int half = 0; half < 2; ++half) {
      const int k = lane % 4 * 2 + half, shift = 16 * half;
      for (int m = 0; m < 4; ++m) {
        left[group + m % 2 * 8][k + m / 2 * 8] = from_bfloat16(static_cast<uint16_t>(a[lane].at[m] >> shift));
      }
      for (int m = 0; m < 2; ++m) {
        right[k + m * 8][group] = from_bfloat16(static_cast<uint16_t>(b[lane].at[m] >> shift));
      }
    }
  }
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    for (int at = 0; at < 4; ++at) {
      float& sum = sums[lane].at[at];
      for (int k = 0; k < 16; ++k) sum += left[sum_row(lane, at)][k] * right[k][sum_column(lane, at)];
    }
  }
#endif
}

}  // namespace pycodec::conv::gpu
