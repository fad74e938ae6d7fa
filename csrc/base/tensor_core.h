// Products of small matrices on tensor cores; elsewhere, as base/warp.h has it, plain loops. A left operand
// is 16 rows of 32 bytes, a right one 8 columns of 32 bytes; the type of their 16 x 8 sums tells what numbers
// these bytes are.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bfloat16.h"
#include "base/warp.h"

namespace pycodec {

// What a lane has of each (PTX ISA, mma.m16n8k32 and mma.m16n8k16), with g = lane / 4 and t = lane % 4:
//   Left   of row g (words 0, 2) and row g + 8 (words 1, 3) bytes 4 t .. (words 0, 1) and 16 + 4 t ..
//   Right  of column g bytes 4 t .. (word 0) and 16 + 4 t .. (word 1)
//   Sums   those that sum_row and sum_column tell
struct alignas(16) Left {
  uint32_t words[4];
};
struct alignas(8) Right {
  uint32_t words[2];
};
template <class T>
struct alignas(16) Sums {
  T values[4];
};
PYCODEC_HD constexpr int sum_row(int lane, int value) { return lane / 4 + value / 2 * 8; }
PYCODEC_HD constexpr int sum_column(int lane, int value) { return lane % 4 * 2 + value % 2; }

#if defined(__CUDACC__)

// sums += left * right: 16 x 32 unsigned bytes by 32 x 8 signed ones, in int32 modulo 2^32.
__device__ inline void multiply_add(Each<Sums<int32_t>>& sums, const Each<Left>& left,
                                    const Each<Right>& right) {
  int32_t* s = sums.value.values;
  const uint32_t* a = left.value.words;
  const uint32_t* b = right.value.words;
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+r"(s[0]), "+r"(s[1]), "+r"(s[2]), "+r"(s[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same of 16 x 16 by 16 x 8 bfloat16, in float32.
__device__ inline void multiply_add(Each<Sums<float>>& sums, const Each<Left>& left,
                                    const Each<Right>& right) {
  float* s = sums.value.values;
  const uint32_t* a = left.value.words;
  const uint32_t* b = right.value.words;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Reads an operand from shared memory: into every word a matrix of 8 x 8 bfloat16, of which lane 4 g + t gets
// row g, columns 2 t and 2 t + 1. Row r of the matrix for word m is the 16 bytes at address(8 m + r); it is
// transposed if `kTransposed`.
template <bool kTransposed, class Address>
__device__ void load_matrices(const Warp& warp, Each<Left>& to, Address address) {
  uint32_t* r = to.value.words;
  warp.each([&](int lane) {
    const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(address(lane)));
    if constexpr (kTransposed) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(from)
                   : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                   : "r"(from)
                   : "memory");
    }
  });
}
template <bool kTransposed, class Address>
__device__ void load_matrices(const Warp& warp, Each<Right>& to, Address address) {
  uint32_t* r = to.value.words;
  warp.each([&](int lane) {
    const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(address(lane)));
    if constexpr (kTransposed) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                   : "=r"(r[0]), "=r"(r[1])
                   : "r"(from)
                   : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                   : "=r"(r[0]), "=r"(r[1])
                   : "r"(from)
                   : "memory");
    }
  });
}

#else

// add(sum, a, b) for every sum and every four bytes of its row and of its column, in order.
template <class T, class Add>
void multiply_words(Each<Sums<T>>& sums, const Each<Left>& left, const Each<Right>& right, Add add) {
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = sum_row(lane, i), column = sum_column(lane, i);
      for (int word = 0; word < 8; ++word) {
        const uint32_t a = left[row % 8 * 4 + word % 4].words[row / 8 + word / 4 * 2];
        const uint32_t b = right[column * 4 + word % 4].words[word / 4];
        add(sums[lane].values[i], a, b);
      }
    }
  }
}

inline void multiply_add(Each<Sums<int32_t>>& sums, const Each<Left>& left, const Each<Right>& right) {
  multiply_words(sums, left, right, [](int32_t& sum, uint32_t a, uint32_t b) {
    for (int shift = 0; shift < 32; shift += 8) {
      const auto product = (a >> shift & 0xff) * static_cast<uint32_t>(static_cast<int8_t>(b >> shift));
      sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + product);
    }
  });
}

inline void multiply_add(Each<Sums<float>>& sums, const Each<Left>& left, const Each<Right>& right) {
  const auto number = [](uint32_t word, int shift) {
    return from_bfloat16(static_cast<uint16_t>(word >> shift));
  };
  multiply_words(sums, left, right, [&](float& sum, uint32_t a, uint32_t b) {
    for (int shift = 0; shift < 32; shift += 16) sum += number(a, shift) * number(b, shift);
  });
}

template <bool kTransposed, class Operand, class Address>
void load_matrices(const Warp& warp, Each<Operand>& to, Address address) {
  for (size_t m = 0; m < sizeof(Operand) / sizeof(uint32_t); ++m) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) {
      std::memcpy(matrix[row], address(static_cast<int>(8 * m) + row), sizeof matrix[row]);
    }
    warp.each([&](int lane) {
      const int major = lane / 4, minor = lane % 4 * 2;
      const uint32_t low = kTransposed ? matrix[minor][major] : matrix[major][minor];
      const uint32_t high = kTransposed ? matrix[minor + 1][major] : matrix[major][minor + 1];
      to[lane].words[m] = low | high << 16;
    });
  }
}

#endif

}  // namespace pycodec
