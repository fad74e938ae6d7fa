// A map of codes with a border of zeros, so that a tap of a 3 x 3 kernel is a shift in one flat array: a row
// above and below, and one column, at once right of a row and left of the next.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/kept_memory.h"
#include "quantized/layers.h"

namespace pycodec::quantized {

class BorderedCodes {
 public:
  BorderedCodes(Size size, size_t channels)
      : width_(size.width),
        height_(size.height),
        row_(size.width + size_t{1}),
        channels_(channels),
        codes_(elements()) {
    std::fill_n(codes_.data(), (row_ + 1) * channels_, 0);
    std::fill(at((height_ - 1) * row_ + width_), codes_.data() + elements(), 0);
  }

  size_t channels() const { return channels_; }
  // Flat positions from the first of the map to the last; of every row the last is the border.
  size_t positions() const { return height_ * row_ - 1; }
  int16_t* at(size_t position) const { return codes_.data() + (row_ + 1 + position) * channels_; }
  std::array<ptrdiff_t, 9> taps() const {
    std::array<ptrdiff_t, 9> taps;
    for (int t = 0; t < 9; ++t) taps[t] = (t / 3 - 1) * static_cast<ptrdiff_t>(row_) + t % 3 - 1;
    return taps;
  }

  // A row's codes, [width][channels], and its border.
  int16_t* row(size_t h) {
    int16_t* codes = at(h * row_);
    std::fill_n(codes + width_ * channels_, channels_, 0);
    return codes;
  }

  // Calls visit(offset, index, count) for each run within the map of flat positions [begin, end): `offset`
  // positions from begin lies the one of that index (row * width + column).
  template <class Visit>
  void for_runs(size_t begin, size_t end, const Visit& visit) const {
    for (size_t p = begin; p < end;) {
      const size_t h = p / row_, w = p % row_;
      const size_t run = std::min(end - p, row_ - w);
      const size_t inside = std::min(run, width_ - std::min(width_, w));
      if (inside > 0) visit(p - begin, h * width_ + w, inside);
      p += run;
    }
  }

 private:
  size_t elements() const { return ((height_ + 2) * row_ + 1 + kMaxTile) * channels_; }

  size_t width_, height_, row_, channels_;
  Kept<int16_t> codes_;
};

}  // namespace pycodec::quantized
