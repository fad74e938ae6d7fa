// What a SIMD level provides for quantized layers: one matrix product of integer codes, and the loops that
// turn floats into codes and sums into floats.
//
// Codes lie as [position][channel]. The product is taken in groups of 32 bits of neighbouring channels: two
// int16 codes, or, of hidden layers, four bytes where the machine multiplies bytes (kernels().narrow_bytes ==
// 1).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace pycodec::quantized {

constexpr int kMaxTaps = 9;
// Arrays of positions have room for so many beyond the last: products are computed in tiles.
constexpr size_t kMaxTile = 16;
constexpr int kMaxVectors = 3;  // of outputs, computed together

// sums[p][o] = sum over taps and channels of codes[p + tap][channel] * weight[o][tap][channel].
struct Product {
  const uint8_t* codes;      // of position 0
  ptrdiff_t taps[kMaxTaps];  // bytes from a position to the one a tap reads
  int tap_count;
  size_t stride;           // bytes between positions
  int groups;              // of 32 bits, read at each tap
  const uint8_t* weights;  // block after block: [tap][group][vector of the block][lane][4 bytes]
  int vectors;             // of outputs, in all blocks
  size_t positions;
  int32_t* sums;  // [position][vectors * lanes]
};

struct Kernels {
  int lanes;                                // 32-bit lanes of a vector
  int narrow_bytes;                         // of a code of a hidden layer
  void (*multiply)(const Product&);         // int16 codes and weights
  void (*multiply_narrow)(const Product&);  // hidden codes and int8 weights (as int16, if codes have 2 bytes)
  // codes = clamp(rint(x * scale), -limit, limit)
  void (*to_codes)(const float* x, const float* scale, float limit, size_t n, int16_t* codes);
  // codes = clamp(rint(sum * multiplier), -limit, limit)
  void (*sums_to_codes)(const int32_t* sums, const float* multiplier, float limit, size_t n, int16_t* codes);
  // codes = clamp(rint(sum * multiplier + bias), 0, limit), as int16 and narrow
  void (*sums_to_hidden)(const int32_t* sums, const float* multiplier, const float* bias, float limit,
                         size_t n, void* codes);
  void (*sums_to_narrow)(const int32_t* sums, const float* multiplier, const float* bias, float limit,
                         size_t n, void* codes);
  // out = sum * multiplier + bias
  void (*sums_to_floats)(const int32_t* sums, const float* multiplier, const float* bias, size_t n,
                         float* out);
  // out = out + (sum * multiplier + bias)
  void (*add_sums)(const int32_t* sums, const float* multiplier, const float* bias, size_t n, float* out);
};

// The next block of the last `left` vectors: pairs, an odd one joined to a pair.
inline int next_block(int left) { return left == 3 ? 3 : std::min(left, 2); }

const Kernels& scalar_kernels();
#if defined(__x86_64__)
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
#endif

}  // namespace pycodec::quantized
