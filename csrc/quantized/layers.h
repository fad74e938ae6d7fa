// The public face of quantized layers: the parts of a transform whose outputs are to be the same floats on
// every machine.
//
// Inputs are rounded to integer codes, one scale a channel; sums of codes times integer weights are exact, in
// any order; and what is float is a chain of single IEEE 754 operations on one element, each rounded to
// nearest. The bounds that keep sums within int32 are checked when a layer is made.
//
// Maps lie as [row][column][channel], float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cpu_features.h"
#include "base/span.h"
#include "quantized/kernels.h"

namespace pycodec::quantized {

struct Size {
  int height, width;
};

struct Options {
  int threads = 1;
};

// Integer weights as the kernels read them.
class Weights {
 public:
  // `weight` [outputs][taps][inputs]. Throws InvalidArgument when codes of up to `limit` could overflow the
  // sum, or, for `narrow` codes, when a weight is beyond int8.
  Weights(const Kernels& kernels, Span<const int16_t> weight, int outputs, int taps, int inputs, int limit,
          bool narrow);

  int outputs() const { return outputs_; }
  int inputs() const { return inputs_; }
  size_t code_bytes() const { return code_bytes_; }
  // Channels of a position in arrays of codes: the inputs, rounded up to whole groups.
  size_t padded_inputs() const { return groups_ * 4 / code_bytes_; }
  // Elements between positions in arrays of sums.
  size_t sum_stride() const { return static_cast<size_t>(vectors_) * kernels_->lanes; }

  // Sums of `positions` positions (which are rounded up to tiles in both arrays). A tap reads the code
  // `taps[t]` positions further.
  void multiply(const void* codes, Span<const ptrdiff_t> taps, size_t positions, int32_t* sums) const;

 private:
  const Kernels* kernels_;
  int outputs_, taps_, inputs_;
  bool narrow_;
  size_t code_bytes_;
  int groups_, vectors_;
  std::vector<uint8_t> packed_;
};

// y = conv(codes of x) * multiplier + bias, for kernels of 1 x 1, or of 3 x 3 with "same" zero padding. The
// inputs of a position are a square of downsample x downsample positions of the map, by row, column and
// channel; its outputs become one of upsample x upsample.
class Conv {
 public:
  struct Spec {
    int outputs, side, inputs, downsample, upsample;
    int limit;                     // codes are -limit..limit
    Span<const float> scale;       // [inputs]
    Span<const int16_t> weight;    // [outputs][side][side][inputs]
    Span<const float> multiplier;  // [outputs]
    Span<const float> bias;        // [outputs]
  };
  Conv(const Spec& spec, Simd simd);

  int inputs() const { return weights_.inputs(); }
  int outputs() const { return weights_.outputs(); }
  int downsample() const { return downsample_; }
  int upsample() const { return upsample_; }

  // x [downsample height][downsample width][inputs / downsample^2],
  // y [upsample height][upsample width][outputs / upsample^2], to which the results are added if `add`.
  void forward(Size size, const float* x, float* y, bool add, Options options) const;

 private:
  const Kernels& kernels_;
  int side_, downsample_, upsample_, limit_;
  Weights weights_;
  std::vector<float> scale_, multiplier_, bias_;
};

// A residual block: a 3 x 3 convolution on the first `part` channels, then two pointwise layers with a ReLU
// between.
//
//     codes = (codes of conv(part_codes of x[:part]), codes of x[part:])
//     hidden = clamp(rint(expand(codes) * multiplier + hidden_bias), 0, hidden_limit)
//     x = x + (project(hidden) * multiplier + bias)
class PartialBlock {
 public:
  struct Spec {
    int channels, part, hidden;
    int limit, hidden_limit;               // hidden codes of up to 255 are the fastest
    Span<const float> part_scale;          // [part] of the convolution's input
    Span<const int16_t> spatial;           // [part][3][3][part]
    Span<const float> spatial_multiplier;  // [part] sums to codes
    Span<const float> scale;     // [channels] of the expansion's input; the first `part` are not used
    Span<const int16_t> expand;  // [hidden][channels]
    Span<const float> expand_multiplier;   // [hidden]
    Span<const int16_t> project;           // [channels][hidden], int8 if hidden codes are
    Span<const float> project_multiplier;  // [channels]
    Span<const float> project_bias;        // [channels]
  };
  PartialBlock(const Spec& spec, Simd simd);

  int channels() const { return expand_.inputs(); }
  int hidden() const { return expand_.outputs(); }

  // x [height][width][channels], in place; hidden_bias [hidden].
  void forward(Size size, float* x, const float* hidden_bias, Options options) const;

 private:
  const Kernels& kernels_;
  int part_, limit_, hidden_limit_;
  Weights spatial_, expand_, project_;
  std::vector<float> part_scale_, spatial_multiplier_, scale_, expand_multiplier_, project_multiplier_,
      project_bias_;
};

}  // namespace pycodec::quantized
