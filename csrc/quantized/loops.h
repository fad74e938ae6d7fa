// The loops of kernels.h for one vector type. `Vec` has kLanes lanes of 32 bits, kRows[v] positions that are
// summed in registers for v vectors of outputs, load, store, zero, broadcast of 32 bits, and two dot products
// that add to a lane: `dot` of two int16, `dot_narrow` of codes of type Narrow. `Vec::Floats`, if it is not
// void, is made for a number of lanes and does to them what `One` does to an element; without kMasked it
// takes whole vectors only. Each SIMD level has a Vec in its anonymous namespace, so that no code compiled
// for one is linked into another.
//
// Floats: every multiplication, addition and conversion is rounded by itself, as IEEE 754 says (csrc/ is
// compiled without contraction), which makes each result the same on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "quantized/kernels.h"

namespace pycodec::quantized {

template <class Vec>
struct Loops {
  using Type = typename Vec::Type;
  using Narrow = typename Vec::Narrow;

  // One tile: kRows positions for NV vectors of outputs.
  template <bool kNarrow, int NV>
  __attribute__((noinline)) static void tile(const Product& p, const uint8_t* weights, const uint8_t* codes,
                                             int32_t* sums) {
    constexpr int kRows = Vec::kRows[NV];
    Type sum[kRows][NV];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
      for (int v = 0; v < NV; ++v) sum[r][v] = Vec::zero();
    }
    for (int t = 0; t < p.tap_count; ++t) {
      const uint8_t* x = codes + p.taps[t];
      for (int g = 0; g < p.groups; ++g, x += 4, weights += 4 * NV * Vec::kLanes) {
        Type w[NV];
#pragma GCC unroll 3
        for (int v = 0; v < NV; ++v) w[v] = Vec::load(weights + 4 * v * Vec::kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const Type value = Vec::broadcast(x + r * p.stride);
#pragma GCC unroll 3
          for (int v = 0; v < NV; ++v) {
            sum[r][v] = kNarrow ? Vec::dot_narrow(sum[r][v], value, w[v]) : Vec::dot(sum[r][v], value, w[v]);
          }
        }
      }
    }
    const size_t stride = static_cast<size_t>(p.vectors) * Vec::kLanes;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
      for (int v = 0; v < NV; ++v) Vec::store(sums + r * stride + v * Vec::kLanes, sum[r][v]);
    }
  }

  template <bool kNarrow, int NV>
  static void block(const Product& p, int first, const uint8_t* weights) {
    static_assert(Vec::kRows[NV] <= static_cast<int>(kMaxTile));
    const size_t stride = static_cast<size_t>(p.vectors) * Vec::kLanes;
    int32_t* sums = p.sums + first * Vec::kLanes;
    for (size_t at = 0; at < p.positions; at += Vec::kRows[NV]) {
      tile<kNarrow, NV>(p, weights, p.codes + at * p.stride, sums + at * stride);
    }
  }

  template <bool kNarrow>
  static void multiply(const Product& p) {
    const uint8_t* weights = p.weights;
    for (int first = 0; first < p.vectors;) {
      const int size = next_block(p.vectors - first);
      switch (size) {
        case 3:
          block<kNarrow, 3>(p, first, weights);
          break;
        case 2:
          block<kNarrow, 2>(p, first, weights);
          break;
        default:
          block<kNarrow, 1>(p, first, weights);
      }
      weights += static_cast<size_t>(p.tap_count) * p.groups * size * Vec::kLanes * 4;
      first += size;
    }
  }

  // Calls step(floats, i) for n elements: whole vectors, then the rest, as part of one or one by one.
  template <class Step>
  static void for_elements(size_t n, const Step& step) {
    using Floats = typename Vec::Floats;
    size_t i = 0;
    if constexpr (!std::is_void_v<Floats>) {
      for (; i + Vec::kLanes <= n; i += Vec::kLanes) step(Floats(Vec::kLanes), i);
      if constexpr (Floats::kMasked) {
        if (i < n) step(Floats(n - i), i);
        return;
      }
    }
    for (; i < n; ++i) step(One{}, i);
  }

  // What `Vec::Floats` does, on one element.
  struct One {
    using Float = float;
    static float load(const float* p) { return *p; }
    static float to_float(const int32_t* p) { return static_cast<float>(*p); }
    static float multiply(float a, float b) { return a * b; }
    static float add(float a, float b) { return a + b; }
    static void store(float* p, float x) { *p = x; }
    // To the nearest integer, ties to even: at 3 * 2^22 a float has no bits left for a fraction.
    template <class T>
    static void store_clamped(T* p, float x, float low, float high) {
      constexpr float kBig = 12582912.0f;
      x = x > low ? x : low;  // also what is no number
      x = x < high ? x : high;
      *p = static_cast<T>(static_cast<int32_t>((x + kBig) - kBig));
    }
  };

  static void to_codes(const float* x, const float* scale, float limit, size_t n, int16_t* codes) {
    for_elements(n, [&](auto v, size_t i) {
      v.store_clamped(codes + i, v.multiply(v.load(x + i), v.load(scale + i)), -limit, limit);
    });
  }

  static void sums_to_codes(const int32_t* sums, const float* multiplier, float limit, size_t n,
                            int16_t* codes) {
    for_elements(n, [&](auto v, size_t i) {
      v.store_clamped(codes + i, v.multiply(v.to_float(sums + i), v.load(multiplier + i)), -limit, limit);
    });
  }

  template <class Code>
  static void sums_to_hidden(const int32_t* sums, const float* multiplier, const float* bias, float limit,
                             size_t n, void* codes) {
    Code* out = static_cast<Code*>(codes);
    for_elements(n, [&](auto v, size_t i) {
      v.store_clamped(out + i, affine(v, sums, multiplier, bias, i), 0, limit);
    });
  }

  static void sums_to_floats(const int32_t* sums, const float* multiplier, const float* bias, size_t n,
                             float* out) {
    for_elements(n, [&](auto v, size_t i) { v.store(out + i, affine(v, sums, multiplier, bias, i)); });
  }

  static void add_sums(const int32_t* sums, const float* multiplier, const float* bias, size_t n,
                       float* out) {
    for_elements(n, [&](auto v, size_t i) {
      v.store(out + i, v.add(v.load(out + i), affine(v, sums, multiplier, bias, i)));
    });
  }

  template <class V>
  static typename V::Float affine(V v, const int32_t* sums, const float* multiplier, const float* bias,
                                  size_t i) {
    return v.add(v.multiply(v.to_float(sums + i), v.load(multiplier + i)), v.load(bias + i));
  }
};

template <class Vec>
constexpr Kernels kernels_of() {
  using L = Loops<Vec>;
  return {Vec::kLanes,
          static_cast<int>(sizeof(typename Vec::Narrow)),
          L::template multiply<false>,
          L::template multiply<true>,
          L::to_codes,
          L::sums_to_codes,
          L::template sums_to_hidden<int16_t>,
          L::template sums_to_hidden<typename Vec::Narrow>,
          L::sums_to_floats,
          L::add_sums};
}

}  // namespace pycodec::quantized
