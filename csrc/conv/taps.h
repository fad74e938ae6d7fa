// What a position sees: of the previous plane its 3 x 3 neighbours, which come first, then of its own plane
// the row above, the left neighbour and last, if it is included, itself. In weight[output][input][2][3][3]
// tap t is element t of the 18.
#pragma once

#include "base/host_device.h"

namespace pycodec::conv {

constexpr int kFarTaps = 9, kMaxTaps = 14, kWeights = 18;

struct Tap {
  int plane, row, column;  // relative to the position
};

PYCODEC_HD constexpr Tap tap_at(int t) { return {t / kFarTaps - 1, t % kFarTaps / 3 - 1, t % 3 - 1}; }

PYCODEC_HD constexpr int tap_count(bool include_center) { return kMaxTaps - (include_center ? 0 : 1); }

}  // namespace pycodec::conv
