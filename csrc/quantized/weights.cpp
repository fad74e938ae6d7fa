// Packing of weights into blocks of vectors.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/error.h"
#include "quantized/layers.h"

namespace pycodec::quantized {

Weights::Weights(const Kernels& kernels, Span<const int16_t> weight, int outputs, int taps, int inputs,
                 int limit, bool narrow)
    : kernels_(&kernels),
      outputs_(outputs),
      taps_(taps),
      inputs_(inputs),
      narrow_(narrow),
      code_bytes_(narrow ? kernels.narrow_bytes : 2) {
  const int per_group = static_cast<int>(4 / code_bytes_);
  groups_ = (inputs + per_group - 1) / per_group;
  vectors_ = (outputs + kernels.lanes - 1) / kernels.lanes;
  const size_t row = static_cast<size_t>(taps) * inputs;
  if (outputs < 1 || inputs < 1 || weight.size() != outputs * row) {
    throw InvalidArgument("quantized layer: the weights do not fit its channels");
  }
  for (int o = 0; o < outputs; ++o) {
    int64_t sum = 0;
    for (size_t i = 0; i < row; ++i) {
      const int w = std::abs(static_cast<int>(weight[o * row + i]));
      if (narrow && w > 127)
        throw InvalidArgument("quantized layer: a weight of a hidden code is beyond int8");
      sum += w;
    }
    if (sum * limit > INT32_MAX) {
      throw InvalidArgument("quantized layer: the sum of output " + std::to_string(o) +
                            " can overflow int32");
    }
  }

  packed_.resize(static_cast<size_t>(taps) * groups_ * vectors_ * kernels.lanes * 4);
  uint8_t* to = packed_.data();
  for (int first = 0; first < vectors_;) {
    const int size = next_block(vectors_ - first);
    for (int t = 0; t < taps; ++t) {
      for (int g = 0; g < groups_; ++g) {
        for (int lane = 0; lane < size * kernels.lanes; ++lane) {
          const int o = first * kernels.lanes + lane;
          for (int i = g * per_group; i < (g + 1) * per_group; ++i, to += code_bytes_) {
            const int16_t w =
                o < outputs && i < inputs ? weight[o * row + static_cast<size_t>(t) * inputs + i] : 0;
            if (code_bytes_ == 1) {
              *to = static_cast<uint8_t>(static_cast<int8_t>(w));
            } else {
              std::memcpy(to, &w, sizeof w);
            }
          }
        }
      }
    }
    first += size;
  }
}

void Weights::multiply(const void* codes, Span<const ptrdiff_t> taps, size_t positions, int32_t* sums) const {
  Product p;
  p.codes = static_cast<const uint8_t*>(codes);
  p.stride = static_cast<size_t>(groups_) * 4;
  p.tap_count = taps_;
  for (int t = 0; t < taps_; ++t) p.taps[t] = taps[t] * static_cast<ptrdiff_t>(p.stride);
  p.groups = groups_;
  p.weights = packed_.data();
  p.vectors = vectors_;
  p.positions = positions;
  p.sums = sums;
  (narrow_ ? kernels_->multiply_narrow : kernels_->multiply)(p);
}

}  // namespace pycodec::quantized
