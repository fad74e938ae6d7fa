// bfloat16, the upper half of a float32, as bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/host_device.h"

namespace pycodec {

PYCODEC_HD inline uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

PYCODEC_HD inline float bits_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

PYCODEC_HD inline float from_bfloat16(uint16_t bits) { return bits_float(static_cast<uint32_t>(bits) << 16); }

// To nearest, ties to even; a NaN stays one.
PYCODEC_HD inline uint16_t to_bfloat16(float value) {
#if defined(__CUDA_ARCH__)
  uint16_t nearest;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(nearest) : "f"(value));
  return nearest;
#else
  const uint32_t bits = float_bits(value);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const uint32_t quiet = bits >> 16 | 0x40;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
#endif
}

}  // namespace pycodec
