// What a SIMD level provides for the convolution: two loops over the positions of one plane.
//
// A plane in work lies as [channel][row][column] with a border of zeros, so that a tap is a shift of the
// whole plane and lanes are consecutive positions; the columns of the border are computed along and dropped.
//
// Kernels come in two forms. In the float form a lane is a float. In the dot form it is a pair of bfloat16,
// multiplied and summed by one instruction: of two channels in the convolution, whose weights are pairs too,
// and of two positions in the gradient of the weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "conv/taps.h"

namespace pycodec::conv {

// Positions are computed in tiles: arrays have room for so many beyond the last.
constexpr size_t kMaxTile = 64;

// Output channels that are computed together share their weights' place: blocks of these sizes, widest first.
constexpr int kBlocks[] = {12, 8, 6, 4, 2, 1};

struct Correlation {
  const float* taps[kMaxTaps];  // lane row 0 of each tap's plane, shifted to output position 0
  int first_tap, last_tap;      // taps [first, last) take part
  int inputs;                   // channels, or pairs of them
  size_t input_stride;          // between channels
  const float* weights;         // block after block: [tap of kMaxTaps][input][channel of the block]
  const float* bias;            // [outputs]
  int outputs;
  float* out;
  size_t output_stride;
  size_t positions;
};

struct WeightGradient {
  const void* taps[kMaxTaps];  // floats or bfloat16: channel 0 of each tap's plane, shifted to position 0
  int first_tap, last_tap;     // taps [first, last) take part
  int inputs;
  size_t input_stride;
  const void* grad;  // zero beyond the plane and in the border's columns
  int outputs;
  size_t grad_stride;
  size_t positions;
  float* sums;  // [tap][output][input][lane of a vector], added to
};

struct Kernels {
  bool dot;    // the form
  int lanes;   // of a vector
  int widest;  // block of kBlocks
  void (*correlate)(const Correlation&);
  void (*add_weight_gradient)(const WeightGradient&);
  void (*to_bfloat16)(const float* from, size_t n, uint16_t* to);
};

// The next block for the last `left` channels.
inline int next_block(int left, int widest) {
  for (int size : kBlocks) {
    if (size <= left && size <= widest) return size;
  }
  return 1;
}

const Kernels& scalar_kernels();
#if defined(__x86_64__)
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
const Kernels& avx512bf16_kernels();
#endif

}  // namespace pycodec::conv
