// The 16-bit words of a stream as a warp reads them: in order, each lane one or none at a time. The next 64
// to 128 words are held in registers, loaded long before they are needed.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/warp.h"

namespace pycodec {

class WordWindow {
 public:
  // `data` need not be aligned. Reading begins at word `position`.
  PYCODEC_KERNEL void open(const Warp& warp, const uint8_t* data, uint32_t words, uint32_t position) {
    data_ = data;
    words_ = words;
    position_ = position;
    load(warp, position / kHeld * kHeld, held_);
    load(warp, position / kHeld * kHeld + kHeld, next_);
  }

  PYCODEC_KERNEL uint32_t position() const { return position_; }
  PYCODEC_KERNEL uint32_t left() const { return words_ - position_; }

  // The words ahead, none taken: a lane gets the one that rank(lane) < 32 counts from here. Words beyond the
  // end are 0.
  template <class Rank>
  PYCODEC_KERNEL Each<uint32_t> peek(const Warp& warp, Rank rank) const {
    const uint32_t first = position_ % kHeld;
    const auto source = [&](int lane) { return static_cast<int>((first + rank(lane)) / 2 % kWarpLanes); };
    const Each<uint32_t> near = warp.shuffle(held_, source), far = warp.shuffle(next_, source);
    Each<uint32_t> word;
    warp.each([&](int lane) {
      const uint32_t index = first + rank(lane);
      word[lane] = (index < kHeld ? near[lane] : far[lane]) >> (16 * (index % 2)) & 0xffff;
    });
    return word;
  }

  // Takes the next count <= 32 words, or all that are left.
  PYCODEC_KERNEL void skip(const Warp& warp, uint32_t count) {
    const uint32_t before = position_ / kHeld;
    position_ += count < left() ? count : left();
    if (position_ / kHeld != before) {
      held_ = next_;
      load(warp, position_ / kHeld * kHeld + kHeld, next_);
    }
  }

 private:
  static constexpr uint32_t kHeld = 64;

  // Words first .. first + 63, two a lane.
  PYCODEC_KERNEL void load(const Warp& warp, uint32_t first, Each<uint32_t>& pairs) const {
    warp.each([&](int lane) {
      const uint32_t at = first + 2 * static_cast<uint32_t>(lane);
      pairs[lane] = at < words_ ? load_u16(data_ + 2 * static_cast<size_t>(at)) : 0;
      if (at + 1 < words_) {
        pairs[lane] |= static_cast<uint32_t>(load_u16(data_ + 2 * static_cast<size_t>(at) + 2)) << 16;
      }
    });
  }

  const uint8_t* data_ = nullptr;
  uint32_t words_ = 0, position_ = 0;
  Each<uint32_t> held_{}, next_{};
};

}  // namespace pycodec
