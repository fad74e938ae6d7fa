// The raw bits of a chunk: written from the last symbol to the first, as the encoder goes, and read forward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/span.h"

namespace pycodec::rans {

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
    const size_t last = (bit + static_cast<size_t>(bits) - 1) / 8;
    if (last >= data.size()) return false;
    const uint32_t window = data[bit / 8] | static_cast<uint32_t>(data[last]) << 8;
    value = window >> (bit % 8) & ((1u << bits) - 1);
    bit += static_cast<size_t>(bits);
    return true;
  }
  size_t bytes_read() const { return (bit + 7) / 8; }
  // Whether nothing but zeros of the last byte is left.
  bool at_end() const {
    return bytes_read() == data.size() && (bit % 8 == 0 || data[bit / 8] >> bit % 8 == 0);
  }

  Bytes data;
  size_t bit = 0;
};

}  // namespace pycodec::rans
