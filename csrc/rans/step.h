// One rANS step each way, on plain integers: the arithmetic at the top of rans.h and nothing more.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace pycodec::rans {

constexpr uint32_t kLowerBound = 1u << 16;
constexpr int kMinPrecision = 8;
constexpr int kMaxPrecision = 14;

// A class of a table, packed: start in the low half, freq in the high half (both fit: P <= 14).
PYCODEC_HD constexpr uint32_t pack_class(uint32_t start, uint32_t freq) { return start | freq << 16; }
PYCODEC_HD constexpr uint32_t class_start(uint32_t packed) { return packed & 0xffff; }
PYCODEC_HD constexpr uint32_t class_freq(uint32_t packed) { return packed >> 16; }

// Whether coding a class of this freq emits a word first. With freq = 2^P it never does: the class is
// certain.
PYCODEC_HD constexpr bool step_emits(uint32_t x, uint32_t freq, int precision) {
  return x >> (32 - precision) >= freq;
}

// x must not need to emit (any more).
PYCODEC_HD constexpr uint32_t step_encode(uint32_t x, uint32_t packed, int precision) {
  const uint32_t freq = class_freq(packed);
  return ((x / freq) << precision) + x % freq + class_start(packed);
}

// The same with reciprocal = reciprocal_of(freq) in the place of the division, whose quotient it misses by at
// most one: x / freq - x (2^32 / freq - reciprocal) / 2^32 > x / freq - 1.
PYCODEC_HD constexpr uint32_t reciprocal_of(uint32_t freq) { return 0xffffffffu / freq; }
PYCODEC_HD constexpr uint32_t step_encode(uint32_t x, uint32_t packed, int precision, uint32_t reciprocal) {
  const uint32_t freq = class_freq(packed);
  const uint32_t quotient = static_cast<uint32_t>(static_cast<uint64_t>(x) * reciprocal >> 32);
  const uint32_t rest = x - quotient * freq;
  const bool missed = rest >= freq;
  return ((quotient + missed) << precision) + rest - (missed ? freq : 0) + class_start(packed);
}

// Before refilling: the result may be below kLowerBound, then x << 16 | word is the state.
PYCODEC_HD constexpr uint32_t step_decode(uint32_t x, uint32_t packed, int precision) {
  const uint32_t slot = x & ((1u << precision) - 1);
  return class_freq(packed) * (x >> precision) + slot - class_start(packed);
}

}  // namespace pycodec::rans
