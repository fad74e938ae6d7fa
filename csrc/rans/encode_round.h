// One round of the encoder's lanes on a device: a symbol each, with the words they emit.
#pragma once

#include <cstdint>

#include "base/warp.h"
#include "rans/step.h"

namespace pycodec::rans {

// A symbol's class as the encoder wants it.
struct Prepared {
  uint32_t packed, reciprocal;
};

// Codes a symbol on each lane below n; their words go before `word`, which then is the first of them.
PYCODEC_KERNEL inline void encode_round(const Warp& warp, int n, const Each<Prepared>& symbols, int precision,
                                        Each<uint32_t>& states, uint16_t*& word) {
  const uint32_t emitting = warp.ballot([&](int lane) {
    return lane < n && step_emits(states[lane], class_freq(symbols[lane].packed), precision);
  });
  word -= lane_count(emitting);
  warp.each([&](int lane) {
    if (lane >= n) return;
    uint32_t x = states[lane];
    if (step_emits(x, class_freq(symbols[lane].packed),
                   precision)) {  // again, so as not to wait for the others
      word[lane_count(emitting & lanes_below(lane))] = static_cast<uint16_t>(x);
      x >>= 16;
    }
    states[lane] = step_encode(x, symbols[lane].packed, precision, symbols[lane].reciprocal);
  });
}

}  // namespace pycodec::rans
