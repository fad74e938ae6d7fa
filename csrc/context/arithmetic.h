// The arithmetic and the geometry of the context model over plain numbers and arrays: what every backend,
// on a CPU or a GPU, computes with. The whole rule, in words, is docs/context-model.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"
#include "rans/step.h"

namespace pycodec::context {

constexpr int kMaxWidth = 64;      // k, channels of the hidden layers
constexpr int kMaxOutputs = 32;    // values per symbol
constexpr int kMaxPlanes = 256;    // D
constexpr int kMaxSide = 1 << 15;  // H and W
constexpr int kPrecision = 14;     // frequencies of a table sum to 2^14
constexpr uint32_t kTotal = 1u << kPrecision;
constexpr int kScales = 64;     // scale indexes of the parametric head
constexpr int kFractions = 16;  // locations come in sixteenths
constexpr int kMaxLocation16 = 1 << 20;
constexpr int kMaxSymbol = 1 << 20;  // |y| of the parametric head
constexpr int kExpEntries = 2048;    // logits of the categorical head come in 1/64 nat, clamped at 32 nat
constexpr int kMaxExp = 4096;        // stored value of exp(0)
constexpr int kReciprocalBits = 15;  // rule 5

// --- Geometry ---

// Symbols of one image: planes x height x width, row-major.
struct Shape {
  int planes, height, width;
  PYCODEC_HD size_t plane_size() const { return static_cast<size_t>(height) * width; }
  PYCODEC_HD size_t size() const { return planes * plane_size(); }
};

// One causal tap: offsets in plane, row and column.
struct Tap {
  int d, h, w;
};
// The nine of the previous plane, then three above, left and (not in layer 0) the centre.
PYCODEC_HD constexpr Tap tap_offset(int tap) {
  if (tap < 9) return {-1, tap / 3 - 1, tap % 3 - 1};
  if (tap < 12) return {0, -1, tap - 10};
  return {0, 0, tap - 13};
}

// The wavefront: step t of a plane holds the symbols with 2 h + w == t, in rising h.
PYCODEC_HD constexpr int step_count(Shape s) { return 2 * (s.height - 1) + s.width; }
PYCODEC_HD constexpr int first_row(Shape s, int t) { return t < s.width ? 0 : (t - s.width + 2) >> 1; }
PYCODEC_HD constexpr int last_row(Shape s, int t) { return t >> 1 < s.height ? t >> 1 : s.height - 1; }
// Symbols of a step; 0 is possible when the volume is one column wide.
PYCODEC_HD constexpr int rows_in_step(Shape s, int t) {
  const int rows = last_row(s, t) - first_row(s, t) + 1;
  return rows > 0 ? rows : 0;
}
PYCODEC_HD constexpr int max_rows_in_step(Shape s) {
  return s.height < (s.width + 1) / 2 ? s.height : (s.width + 1) / 2;
}
// Symbols of a plane in steps before t: over its rows, the columns up to t - 2 h.
PYCODEC_HD constexpr size_t symbols_before_step(Shape s, int t) {
  size_t sum = 0;
  for (int side = 0; side < 2; ++side) {  // all columns, less those beyond the width
    const int u = side == 0 ? t : t - s.width;
    if (u <= 0) continue;
    const size_t rows = (u + 1) / 2 < s.height ? (u + 1) / 2 : s.height;
    const size_t columns = rows * u - rows * (rows - 1);
    sum += side == 0 ? columns : -columns;
  }
  return sum;
}
// Plane d may compute step t once plane d - 1 has completed steps 0 .. t + 3.
constexpr int kPlaneLag = 4;

// The symbols of a step, by their index in it.
struct Step {
  PYCODEC_HD Step(Shape s, int plane, int step)
      : count(rows_in_step(s, step)),
        first(plane * s.plane_size() + static_cast<size_t>(first_row(s, step)) * s.width + step -
              2 * first_row(s, step)),
        distance(s.width - 2) {}
  // Index into the volume: one row down is two columns left.
  PYCODEC_HD size_t at(int i) const { return first + i * distance; }

  int count;
  size_t first;
  ptrdiff_t distance;
};

// --- The network ---

PYCODEC_HD constexpr int clamp(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

// a + b modulo 2^32, so that a model that nobody checked for overflow is defined too.
PYCODEC_HD constexpr int32_t add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
// acc + code * residual: what layer 2 adds to a sum.
PYCODEC_HD constexpr int32_t add_residual(int32_t acc, uint8_t code, int32_t residual) {
  return add(acc, static_cast<int32_t>(code * static_cast<uint32_t>(residual)));
}

// What layer 0 sees of an earlier plane besides its code: how far that is from the code of 0.
PYCODEC_HD constexpr uint8_t magnitude(uint8_t code, uint8_t zero) {
  return static_cast<uint8_t>(code < zero ? zero - code : code - zero);
}

// Rule 3 without its clamp.
PYCODEC_HD constexpr int32_t rescale(int32_t acc, int32_t multiplier) {
  return static_cast<int32_t>((static_cast<int64_t>(acc) * multiplier) >> 32);
}
PYCODEC_HD constexpr uint8_t rescale_to_code(int32_t acc, int32_t multiplier) {
  return static_cast<uint8_t>(clamp(rescale(acc, multiplier), 0, 255));
}

// --- The heads ---

// Entry of the input map for a symbol of the parametric head.
PYCODEC_HD constexpr int parametric_entry(int32_t symbol) { return clamp(symbol, -128, 127) + 128; }
PYCODEC_HD constexpr int32_t clamped_location(int32_t x) { return clamp(x, -kMaxLocation16, kMaxLocation16); }
PYCODEC_HD constexpr int32_t clamped_scale(int32_t x) { return clamp(x, 0, kScales - 1); }

// Rules 4 and 5: frequencies of `outputs` logits, both `stride` elements apart; they may be the same array.
PYCODEC_HD inline void categorical_frequencies(const int32_t* exp_table, int outputs, const int32_t* logits,
                                               int32_t* frequencies, size_t stride) {
  int best = 0;
  for (int i = 1; i < outputs; ++i) {
    if (logits[i * stride] > logits[best * stride]) best = i;
  }
  const int32_t top = logits[best * stride];
  int32_t sum = 0;
  for (int i = 0; i < outputs; ++i) {
    const int32_t distance = top - logits[i * stride];
    frequencies[i * stride] = exp_table[distance < kExpEntries ? distance : kExpEntries - 1];
    sum += frequencies[i * stride];
  }
  const uint32_t reciprocal = (1u << (kPrecision + kReciprocalBits)) / static_cast<uint32_t>(sum);
  int32_t rest = kTotal;
  for (int i = 0; i < outputs; ++i) {
    const uint32_t f = static_cast<uint32_t>(frequencies[i * stride]) * reciprocal >> kReciprocalBits;
    frequencies[i * stride] = f > 0 ? static_cast<int32_t>(f) : 1;
    rest -= frequencies[i * stride];
  }
  frequencies[best * stride] += rest;
}

// A symbol's share [start, start + frequency) of 2^14.
struct Interval {
  PYCODEC_HD uint32_t packed() const { return rans::pack_class(start, frequency); }

  uint16_t start, frequency;
};

// Table of a symbol under the categorical head.
struct Categorical {
  PYCODEC_HD Interval interval(int32_t symbol) const {
    uint32_t start = 0;
    for (int32_t i = 0; i < symbol; ++i) start += frequencies[i * stride];
    return {static_cast<uint16_t>(start), static_cast<uint16_t>(frequencies[symbol * stride])};
  }

  const int32_t* frequencies;
  size_t stride;
};

// The class of a residual: 0, then by magnitude, the side the location leans to (sixteenth >= 8: up) first.
PYCODEC_HD constexpr int residual_class(int32_t residual, int sixteenth) {
  const bool nearer = (residual > 0) == (sixteenth >= 8);
  const int32_t magnitude = residual < 0 ? -residual : residual;
  return residual == 0 ? 0 : 2 * magnitude - (nearer ? 1 : 0);
}
PYCODEC_HD constexpr int32_t class_residual(int index, int sixteenth) {
  const int magnitude = (index + 1) >> 1;
  return ((index & 1) != 0) == (sixteenth >= 8) ? magnitude : -magnitude;
}

// The stored tables of the parametric head: of table i, starts[offsets[i]] = 0, then running sums up to 2^14.
struct LogisticTables {
  const uint8_t* radius;
  const uint32_t* offsets;
  const uint16_t* starts;
};

// Table of a symbol under the parametric head: location and scale as the network gives them.
struct Logistic {
  PYCODEC_HD Logistic(const LogisticTables& tables, int32_t location16, int32_t scale)
      : base(location16 >> 4),
        sixteenth(location16 & (kFractions - 1)),
        radius(tables.radius[scale * kFractions + sixteenth]),
        starts(tables.starts + tables.offsets[scale * kFractions + sixteenth]) {}

  PYCODEC_HD int escape_class() const { return 2 * radius + 1; }
  PYCODEC_HD Interval interval(int index) const {
    return {starts[index], static_cast<uint16_t>(starts[index + 1] - starts[index])};
  }

  // The class of a symbol, and if that is the escape class its number for the side list.
  PYCODEC_HD int class_of(int32_t symbol, uint32_t& escape) const {
    const int32_t residual = symbol - base;
    const int32_t excess = (residual < 0 ? -residual : residual) - radius;
    if (excess <= 0) return residual_class(residual, sixteenth);
    escape = static_cast<uint32_t>(excess - 1) << 1 | (residual < 0 ? 1 : 0);
    return escape_class();
  }
  PYCODEC_HD int32_t symbol_of_class(int index) const { return base + class_residual(index, sixteenth); }
  // escape < kMaxEscape; the symbol may be out of range.
  PYCODEC_HD int32_t symbol_of_escape(uint32_t escape) const {
    const int32_t magnitude = static_cast<int32_t>(escape >> 1) + radius + 1;
    return base + ((escape & 1) != 0 ? -magnitude : magnitude);
  }

  int32_t base;
  int sixteenth, radius;
  const uint16_t* starts;
};
constexpr uint32_t kMaxEscape = 1u << 22;
PYCODEC_HD constexpr bool is_symbol(int32_t y) { return y >= -kMaxSymbol && y <= kMaxSymbol; }

// --- The encoder's choices ---

// What an interval costs, in units of 2^-13 bit; log2 is interpolated linearly between powers of two, so that
// the choice is the same everywhere.
PYCODEC_HD inline uint64_t interval_cost(uint32_t frequency) {
#if defined(__CUDA_ARCH__)
  const int exponent = 31 - __clz(static_cast<int>(frequency));
#else
  const int exponent = 31 - __builtin_clz(frequency);
#endif
  return (static_cast<uint64_t>(kPrecision + 1 - exponent) << 13) - (frequency << (13 - exponent));
}

// What a symbol costs under a table in the same units, with the bytes of its escape.
PYCODEC_HD inline int64_t symbol_cost(const Logistic& table, int32_t symbol) {
  uint32_t escape = 0;
  const int index = table.class_of(symbol, escape);
  int64_t cost = static_cast<int64_t>(interval_cost(table.interval(index).frequency));
  if (index == table.escape_class()) {
    cost += static_cast<int64_t>(8 << 13) *
            (1 + (escape >> 7 != 0 ? 1 : 0) + (escape >> 14 != 0 ? 1 : 0) + (escape >> 21 != 0 ? 1 : 0));
  }
  return cost;
}

// A symbol or the neighbour that costs least in bits and image together, where that is less than the symbol:
// of the neighbours, the one nearer to the location, which tends to save bits, and after it the one towards
// which the image improves. The image's part of adding d is slope d + curvature d^2.
PYCODEC_HD inline int32_t chosen_symbol(const Logistic& table, int32_t symbol, int32_t slope,
                                        int32_t curvature) {
  const int32_t expected = table.base + (table.sixteenth >> 3);
  const int towards_location = symbol < expected ? 1 : symbol > expected ? -1 : 0;
  const int towards_image = slope > curvature ? -1 : slope < -static_cast<int64_t>(curvature) ? 1 : 0;
  if (towards_location == 0 && towards_image == 0) return symbol;
  int64_t least = symbol_cost(table, symbol);
  int32_t best = symbol;
  const auto consider = [&](int d) {
    const int64_t cost = symbol_cost(table, symbol + d) + static_cast<int64_t>(slope) * d + curvature;
    if (is_symbol(symbol + d) && cost < least) {
      least = cost;
      best = symbol + d;
    }
  };
  if (towards_location != 0) consider(towards_location);
  if (towards_image != 0 && towards_image != towards_location) consider(towards_image);
  return best;
}

}  // namespace pycodec::context
