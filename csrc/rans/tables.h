// A set of integer frequency tables, prepared once and used for many streams. Meaning of the fields: top of
// rans.h.
#pragma once

#include <cstdint>
#include <memory>
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

  struct Table {
    uint32_t first;  // its first class among those of all tables
    uint16_t plain;  // classes without the escape, at most 2^14
    uint8_t shift;   // together with plain one number, for SIMD
    uint8_t has_escape;
    int32_t offset;
    int32_t unused;  // to 16 bytes
  };

  // The same once more for sets of at most 64 tables of at most 64 classes, as SIMD looks them up.
  struct Small {
    uint16_t starts[65][64];  // [class][table], 2^P beyond a table's last class
    uint16_t plain[64];       // [table]
    uint16_t shifts[64];      // [table]
    uint32_t packed[64][64];  // [table][class]
  };

  // And for one table of at most 256 classes in natural order without a shift.
  struct Single {
    int32_t plain;
    std::vector<uint8_t> classes;  // [slot]
    std::vector<uint32_t>
        entries;            // up to 12 bits [slot]: class, slots behind its start << 8, freq - 1 << 20
    uint8_t bytes[4][256];  // [byte of packed][class]
  };

  // Throws InvalidArgument naming the table that breaks a rule.
  explicit Tables(const Spec& spec);

  int precision() const { return precision_; }
  size_t size() const { return tables_.size(); }
  bool has_escapes() const { return has_escapes_; }
  bool has_shifts() const { return has_shifts_; }
  bool has_offsets() const { return has_offsets_; }
  bool bases_are_small() const { return bases_are_small_; }  // none beyond +-2^30
  bool zigzag() const { return zigzag_; }

  // Plain arrays, for SIMD: tables; packed classes of all tables; for each table the first class that reaches
  // into each of 2^bucket_bits equal parts of its slots (one more element may be read).
  const Table* data() const { return tables_.data(); }
  const uint32_t* packed_data() const { return packed_.data(); }
  const uint16_t* buckets_data() const { return buckets_.data(); }
  int bucket_bits() const { return bucket_bits_; }
  const int32_t* base_data() const { return bases_.data(); }  // [tables] the offset, shifted
  const Small* small() const { return small_.get(); }         // null for larger sets
  const Single* single() const { return single_.get(); }      // null for other sets

  int shift(size_t table) const { return tables_[table].shift; }
  uint32_t packed(size_t table, uint32_t cls) const { return packed_[tables_[table].first + cls]; }
  // What coding this class takes, for the encoder's choices (choices.h), in 1/256 bit.
  uint32_t cost(size_t table, uint32_t cls) const { return costs_[tables_[table].first + cls]; }
  bool is_escape(size_t table, uint32_t cls) const {
    return tables_[table].has_escape != 0 && cls == tables_[table].plain;
  }

  // The class that holds a slot (< 2^P): through its bucket, then a short scan.
  uint32_t find(size_t table, uint32_t slot) const {
    uint32_t cls = buckets_[(table << bucket_bits_) + (slot >> (precision_ - bucket_bits_))];
    const uint32_t* p = packed_.data() + tables_[table].first;
    while (slot - class_start(p[cls]) >= class_freq(p[cls])) ++cls;
    return cls;
  }

  Coded classify(size_t table, int32_t symbol) const {
    const Table& t = tables_[table];
    const int64_t r = (static_cast<int64_t>(symbol) >> t.shift) - t.offset;
    uint64_t number = zigzag_ ? zigzag(r) : static_cast<uint64_t>(r);  // of a class, counting on for escapes
    if (number < t.plain) return {static_cast<uint32_t>(number), 0};
    if (zigzag_) {
      number -= t.plain;
    } else {
      number = r >= 0 ? 2 * (number - t.plain) : zigzag(r);
    }
    return {t.has_escape != 0 ? t.plain : kNoClass, number};
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
  void make_small(const Spec& spec);
  void make_single();

  // Without branches: signs are as good as random.
  static uint64_t zigzag(int64_t r) { return static_cast<uint64_t>(r) << 1 ^ static_cast<uint64_t>(r >> 63); }
  static int64_t unzigzag(uint64_t z) { return static_cast<int64_t>(z >> 1 ^ (uint64_t{0} - (z & 1))); }

  int precision_;
  bool zigzag_;
  bool has_escapes_ = false;
  bool has_shifts_ = false;
  bool has_offsets_ = false;
  bool bases_are_small_ = true;
  int bucket_bits_;
  std::vector<Table> tables_;
  std::vector<uint32_t> packed_;
  std::vector<uint16_t> costs_;
  std::vector<uint16_t> buckets_;
  std::vector<int32_t> bases_;
  std::unique_ptr<Small> small_;
  std::unique_ptr<Single> single_;
};

}  // namespace pycodec::rans
