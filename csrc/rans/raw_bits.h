// The raw low bits of symbols as they lie in a stream: from bit 0 of byte 0 up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"

namespace pycodec::rans {

// The raw bits [bit, bit + bits), a field of 1 to 7. False when the data ends inside it.
PYCODEC_HD inline bool read_raw(const uint8_t* data, size_t size, size_t bit, int bits, uint32_t& value) {
  const size_t last = (bit + static_cast<size_t>(bits) - 1) / 8;
  if (last >= size) return false;
  const uint32_t window = data[bit / 8] | static_cast<uint32_t>(data[last]) << 8;
  value = window >> (bit % 8) & ((1u << bits) - 1);
  return true;
}

// Whether nothing but zeros of the last byte lies behind `bit`.
PYCODEC_HD inline bool raw_ends_at(const uint8_t* data, size_t size, size_t bit) {
  return (bit + 7) / 8 == size && (bit % 8 == 0 || data[bit / 8] >> bit % 8 == 0);
}

}  // namespace pycodec::rans
