// The loops of kernels.h for one vector type. `Vec` has kLanes lanes of 32 bits, kAccumulators registers to
// sum in, load, store, set1 and multiply_add; `Vec::Element` is what the gradient of the weights multiplies.
// Each SIMD level has a Vec in its anonymous namespace, so that no code compiled for one is linked into
// another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bfloat16.h"
#include "conv/kernels.h"

namespace pycodec::conv {

template <class Vec>
struct Loops {
  using Element = typename Vec::Element;
  static typename Vec::Type load(const Element* p) { return Vec::load(reinterpret_cast<const float*>(p)); }

  // One tile: NV vectors of positions for NO output channels, summed in registers.
  template <int NO, int NV>
  __attribute__((noinline)) static void correlate_tile(const Correlation& c, const float* weights,
                                                       const float* bias, size_t at, float* out) {
    typename Vec::Type sum[NO][NV];
#pragma GCC unroll 16
    for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[o][v] = Vec::set1(bias[o]);
    }
    for (int t = c.first_tap; t < c.last_tap; ++t) {
      const float* x = c.taps[t] + at;
      const float* w = weights + static_cast<size_t>(t) * c.inputs * NO;
      for (int i = 0; i < c.inputs; ++i, x += c.input_stride, w += NO) {
        typename Vec::Type values[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) values[v] = Vec::load(x + v * Vec::kLanes);
#pragma GCC unroll 16
        for (int o = 0; o < NO; ++o) {
          const typename Vec::Type weight = Vec::set1(w[o]);
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) sum[o][v] = Vec::multiply_add(values[v], weight, sum[o][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) Vec::store(out + o * c.output_stride + v * Vec::kLanes, sum[o][v]);
    }
  }

  static constexpr int vectors_of(int block) { return std::min(4, std::max(1, Vec::kAccumulators / block)); }

  template <int NO>
  static void correlate_block(const Correlation& c, int first, const float* weights) {
    constexpr int kVectors = vectors_of(NO);
    static_assert(kVectors * Vec::kLanes <= static_cast<int>(kMaxTile));
    for (size_t at = 0; at < c.positions; at += kVectors * Vec::kLanes) {
      correlate_tile<NO, kVectors>(c, weights, c.bias + first, at, c.out + first * c.output_stride + at);
    }
  }

  static void correlate(const Correlation& c) {
    const float* weights = c.weights;
    for (int first = 0; first < c.outputs;) {
      const int size = next_block(c.outputs - first, Vec::kWidestBlock);
      switch (size) {
        case 12:
          if constexpr (Vec::kWidestBlock >= 12) correlate_block<12>(c, first, weights);
          break;
        case 8:
          if constexpr (Vec::kWidestBlock >= 8) correlate_block<8>(c, first, weights);
          break;
        case 6:
          correlate_block<6>(c, first, weights);
          break;
        case 4:
          correlate_block<4>(c, first, weights);
          break;
        case 2:
          correlate_block<2>(c, first, weights);
          break;
        default:
          correlate_block<1>(c, first, weights);
      }
      weights += static_cast<size_t>(kMaxTaps) * c.inputs * size;
      first += size;
    }
  }

  // NO x NC products of channels, summed over all positions.
  template <int NO, int NC>
  __attribute__((noinline)) static void add_products(const Element* grad, size_t grad_stride,
                                                     const Element* x, size_t x_stride, size_t positions,
                                                     float* sums, int inputs) {
    typename Vec::Type sum[NO][NC];
#pragma GCC unroll 4
    for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 6
      for (int c = 0; c < NC; ++c) sum[o][c] = Vec::load(sums + (o * inputs + c) * Vec::kLanes);
    }
    constexpr size_t kStep = Vec::kLanes * sizeof(float) / sizeof(Element);
    for (size_t at = 0; at < positions; at += kStep) {
      typename Vec::Type g[NO];
#pragma GCC unroll 4
      for (int o = 0; o < NO; ++o) g[o] = load(grad + o * grad_stride + at);
#pragma GCC unroll 6
      for (int c = 0; c < NC; ++c) {
        const typename Vec::Type value = load(x + c * x_stride + at);
#pragma GCC unroll 4
        for (int o = 0; o < NO; ++o) sum[o][c] = Vec::multiply_add(g[o], value, sum[o][c]);
      }
    }
#pragma GCC unroll 4
    for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 6
      for (int c = 0; c < NC; ++c) Vec::store(sums + (o * inputs + c) * Vec::kLanes, sum[o][c]);
    }
  }

  static constexpr size_t kPiece = 4096 / sizeof(Element);  // positions

  // All taps for NO outputs and NC inputs, piece by piece: what a piece reads stays in the nearest cache for
  // all taps, and the sums of all taps in the next one for all pieces.
  template <int NO, int NC>
  static void add_block(const WeightGradient& w, int output, int input) {
    const Element* grad = static_cast<const Element*>(w.grad) + output * w.grad_stride;
    for (size_t at = 0; at < w.positions; at += kPiece) {
      const size_t positions = std::min(kPiece, w.positions - at);
      for (int t = w.first_tap; t < w.last_tap; ++t) {
        const Element* x = static_cast<const Element*>(w.taps[t]) + input * w.input_stride;
        const size_t sum = (static_cast<size_t>(t) * w.outputs + output) * w.inputs + input;
        add_products<NO, NC>(grad + at, w.grad_stride, x + at, w.input_stride, positions,
                             w.sums + sum * Vec::kLanes, w.inputs);
      }
    }
  }

  template <int NC>
  static void add_columns(const WeightGradient& w, int input) {
    int o = 0;
    for (; o + Vec::kRows <= w.outputs; o += Vec::kRows) add_block<Vec::kRows, NC>(w, o, input);
    for (; o < w.outputs; ++o) add_block<1, NC>(w, o, input);
  }

  static void add_weight_gradient(const WeightGradient& w) {
    int c = 0;
    for (; c + Vec::kColumns <= w.inputs; c += Vec::kColumns) add_columns<Vec::kColumns>(w, c);
    for (; c + 2 <= w.inputs; c += 2) add_columns<2>(w, c);
    for (; c < w.inputs; ++c) add_columns<1>(w, c);
  }

  static void to_bfloat16(const float* from, size_t n, uint16_t* to) {
    for (size_t i = 0; i < n; ++i) to[i] = pycodec::to_bfloat16(from[i]);
  }
};

template <class Vec>
constexpr Kernels kernels_of() {
  using L = Loops<Vec>;
  return {sizeof(typename Vec::Element) == 2,
          Vec::kLanes,
          Vec::kWidestBlock,
          L::correlate,
          L::add_weight_gradient,
          L::to_bfloat16};
}

}  // namespace pycodec::conv
