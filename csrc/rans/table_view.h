// The arithmetic of prepared tables over plain arrays, wherever those lie: which class a slot or a symbol
// belongs to, and back. Meaning of the fields: top of rans.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"
#include "rans/step.h"

namespace pycodec::rans {

struct Table {
  uint32_t first;  // its first class among those of all tables
  uint16_t plain;  // classes without the escape, at most 2^14
  uint8_t shift;   // together with plain one number, for SIMD
  uint8_t has_escape;
  int32_t offset;
  int32_t unused;  // to 16 bytes
};

// What a symbol is coded as. No class: `cls` is kNoClass.
constexpr uint32_t kNoClass = 0xffffffff;
struct Coded {
  uint32_t cls;
  uint64_t escape_number;  // only when cls is the escape
};

// Zigzag order counts 0, -1, 1, -2, 2, ...
// Without branches: signs are as good as random.
PYCODEC_HD constexpr uint64_t zigzag(int64_t r) {
  return static_cast<uint64_t>(r) << 1 ^ static_cast<uint64_t>(r >> 63);
}
PYCODEC_HD constexpr int64_t unzigzag(uint64_t z) {
  return static_cast<int64_t>(z >> 1 ^ (uint64_t{0} - (z & 1)));
}

struct TableView {
  const Table* tables;      // [size]
  const uint32_t* packed;   // classes of all tables
  const uint16_t* costs;    // the same classes, in 1/256 bit
  const uint16_t* buckets;  // [size << bucket_bits] the first class that reaches into each part of the slots
  uint32_t size;
  int precision;
  int bucket_bits;
  bool zigzag_order;

  PYCODEC_HD bool is_escape(size_t table, uint32_t cls) const {
    return tables[table].has_escape != 0 && cls == tables[table].plain;
  }

  // The class that holds a slot (< 2^precision): through its bucket, then a short scan.
  PYCODEC_HD uint32_t find(size_t table, uint32_t slot) const {
    uint32_t cls = buckets[(table << bucket_bits) + (slot >> (precision - bucket_bits))];
    const uint32_t* p = packed + tables[table].first;
    while (slot - class_start(p[cls]) >= class_freq(p[cls])) ++cls;
    return cls;
  }

  PYCODEC_HD Coded classify(size_t table, int32_t symbol) const {
    const Table& t = tables[table];
    const int64_t r = (static_cast<int64_t>(symbol) >> t.shift) - t.offset;
    const uint64_t plain = t.plain;
    uint64_t number;  // of a class, counting on beyond the plain ones for escapes
    if (zigzag_order) {
      number = zigzag(r);
      if (number < plain) return {static_cast<uint32_t>(number), 0};
      number -= plain;
    } else {
      if (r >= 0 && static_cast<uint64_t>(r) < plain) return {static_cast<uint32_t>(r), 0};
      number = r >= 0 ? 2 * (static_cast<uint64_t>(r) - plain) : zigzag(r);
    }
    return {t.has_escape != 0 ? t.plain : kNoClass, number};
  }

  // q of a class that is not the escape.
  PYCODEC_HD int64_t coarse_value(size_t table, uint32_t cls) const {
    return tables[table].offset + (zigzag_order ? unzigzag(cls) : static_cast<int64_t>(cls));
  }

  // q of an escape number (< 2^40).
  PYCODEC_HD int64_t coarse_value_of_escape(size_t table, uint64_t number) const {
    const Table& t = tables[table];
    if (zigzag_order) return t.offset + unzigzag(number + t.plain);
    const int64_t beyond = unzigzag(number);
    return t.offset + (beyond < 0 ? beyond : beyond + t.plain);
  }
};

// The widest range of q whose symbols are int32, by the shift k of its table.
PYCODEC_HD constexpr bool is_coarse_int32(int64_t q, int shift) {
  return q >= INT32_MIN >> shift && q <= INT32_MAX >> shift;
}

}  // namespace pycodec::rans
