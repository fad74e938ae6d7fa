// The raw low bits of a chunk's symbols, from bit 0 of byte 0 up: written from the last symbol to the first,
// as the encoder goes, and read forward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/host_device.h"
#include "base/span.h"

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

// Writes fields in front of one another, downward from `next`; the 8 bytes below may be overwritten.
struct RawSink {
  void put(uint64_t value, int bits) {  // bits <= 56, value < 2^bits
    pending = pending << bits | value;
    count += bits;
    const uint64_t aligned = pending << 1 << (63 - count);  // the earliest given, uppermost
    store_u32(next - 8, static_cast<uint32_t>(aligned));
    store_u32(next - 4, static_cast<uint32_t>(aligned >> 32));
    next -= count >> 3;
    count &= 7;
    pending &= (1u << count) - 1;
  }

  // All of it, from bit 0 of byte 0 up, the last byte padded with zeros; `end` is where `next` began.
  size_t size(const uint8_t* end) const { return static_cast<size_t>(end - next) + (count > 0); }
  void copy_to(uint8_t* out, const uint8_t* end) const {
    uint32_t window = static_cast<uint32_t>(pending);
    const uint8_t* p = next;
    if (count == 0) {
      if (p < end) std::memcpy(out, p, static_cast<size_t>(end - p));
      return;
    }
    for (; p < end; ++p) {
      window |= static_cast<uint32_t>(*p) << count;
      *out++ = static_cast<uint8_t>(window);
      window >>= 8;
    }
    *out = static_cast<uint8_t>(window);
  }

  uint8_t* next;
  uint64_t pending = 0;
  int count = 0;  // < 8, in pending
};

// Raw bits that are left to read.
struct RawSource {
  // Fields of up to 7 bits. False when the data ends inside the field.
  bool get(int bits, uint32_t& value) {
    if (!read_raw(data.data(), data.size(), bit, bits, value)) return false;
    bit += static_cast<size_t>(bits);
    return true;
  }
  size_t bytes_read() const { return (bit + 7) / 8; }
  // Whether nothing but zeros of the last byte is left.
  bool at_end() const { return raw_ends_at(data.data(), data.size(), bit); }

  Bytes data;
  size_t bit = 0;
};

}  // namespace pycodec::rans
