// A set of integer frequency tables, prepared once and used for many streams. Meaning of the fields: top of
// rans.h.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.h"
#include "rans/step.h"

namespace pycodec::rans {

class Tables {
 public:
  struct Spec {
    int precision = 0;
    bool zigzag = false;
    Span<const uint16_t> freqs;   // classes of all tables, one table after the other
    Span<const int32_t> sizes;    // [tables] number of classes, the escape included
    Span<const int32_t> offsets;  // [tables]
    Span<const uint8_t> shifts;   // [tables] 0..7
    Span<const uint8_t> escapes;  // [tables] 0 or 1
  };

  // What a symbol is coded as. No class: `cls` is kNoClass.
  static constexpr uint32_t kNoClass = 0xffffffff;
  struct Coded {
    uint32_t cls;
    uint64_t escape_number;  // only when cls is the escape
  };

  // Throws InvalidArgument naming the table that breaks a rule.
  explicit Tables(const Spec& spec);

  int precision() const { return precision_; }
  size_t size() const { return tables_.size(); }
  bool has_escapes() const { return has_escapes_; }
  bool has_shifts() const { return has_shifts_; }

  int shift(size_t table) const { return tables_[table].shift; }
  uint32_t packed(size_t table, uint32_t cls) const { return packed_[tables_[table].first + cls]; }
  // What coding this class takes, for the encoder's choices (choices.h), in 1/256 bit.
  uint32_t cost(size_t table, uint32_t cls) const { return costs_[tables_[table].first + cls]; }
  bool is_escape(size_t table, uint32_t cls) const {
    return tables_[table].has_escape && cls == tables_[table].plain;
  }

  // The class that holds a slot (< 2^P): through 256 buckets, then a short scan.
  uint32_t find(size_t table, uint32_t slot) const {
    uint32_t cls = buckets_[table * kBuckets + (slot >> (precision_ - kBucketBits))];
    const uint32_t* p = packed_.data() + tables_[table].first;
    while (slot - class_start(p[cls]) >= class_freq(p[cls])) ++cls;
    return cls;
  }

  Coded classify(size_t table, int32_t symbol) const {
    const Table& t = tables_[table];
    const int64_t r = (static_cast<int64_t>(symbol) >> t.shift) - t.offset;
    const uint64_t plain = t.plain;
    uint64_t number;  // of a class, counting on beyond the plain ones for escapes
    if (zigzag_) {
      number = r >= 0 ? 2 * static_cast<uint64_t>(r) : 2 * static_cast<uint64_t>(-1 - r) + 1;
      if (number < plain) return {static_cast<uint32_t>(number), 0};
      number -= plain;
    } else {
      if (r >= 0 && static_cast<uint64_t>(r) < plain) return {static_cast<uint32_t>(r), 0};
      number = r >= 0 ? 2 * (static_cast<uint64_t>(r) - plain) : 2 * static_cast<uint64_t>(-1 - r) + 1;
    }
    return {t.has_escape ? t.plain : kNoClass, number};
  }

  // q of a class that is not the escape.
  int64_t coarse_value(size_t table, uint32_t cls) const {
    return tables_[table].offset + (zigzag_ ? unzigzag(cls) : static_cast<int64_t>(cls));
  }

  // q of an escape number (< 2^40).
  int64_t coarse_value_of_escape(size_t table, uint64_t number) const {
    const Table& t = tables_[table];
    if (zigzag_) return t.offset + unzigzag(number + t.plain);
    const int64_t half = static_cast<int64_t>(number >> 1);
    return t.offset + ((number & 1) != 0 ? -1 - half : half + t.plain);
  }

 private:
  static constexpr int kBucketBits = 8;
  static constexpr size_t kBuckets = size_t{1} << kBucketBits;

  struct Table {
    uint32_t first;  // its first class in packed_
    uint32_t plain;  // classes without the escape
    int32_t offset;
    uint8_t shift;
    bool has_escape;
  };

  static int64_t unzigzag(uint64_t z) {
    const int64_t half = static_cast<int64_t>(z >> 1);
    return (z & 1) != 0 ? -1 - half : half;
  }

  int precision_;
  bool zigzag_;
  bool has_escapes_ = false;
  bool has_shifts_ = false;
  std::vector<Table> tables_;
  std::vector<uint32_t> packed_;
  std::vector<uint16_t> costs_;
  std::vector<uint16_t> buckets_;  // [tables][kBuckets] first class that reaches into the bucket
};

}  // namespace pycodec::rans
