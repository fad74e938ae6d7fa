// A set of integer frequency tables, prepared once and used for many streams. Meaning of the fields: top of
// rans.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/span.h"
#include "rans/table_view.h"

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

  using Table = rans::Table;
  using Coded = rans::Coded;
  static constexpr uint32_t kNoClass = rans::kNoClass;
  static constexpr size_t kMax = 1 << 22;  // so that int32, which SIMD counts in, holds every bucket's number

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

  // At most kMax. Throws InvalidArgument naming the table that breaks a rule.
  explicit Tables(const Spec& spec);

  int precision() const { return precision_; }
  size_t size() const { return tables_.size(); }
  size_t classes() const { return packed_.size(); }
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
  bool is_escape(size_t table, uint32_t cls) const { return view().is_escape(table, cls); }

  // The arithmetic, in table_view.h.
  TableView view() const {
    return {tables_.data(), packed_.data(), costs_.data(), buckets_.data(), static_cast<uint32_t>(size()),
            precision_,     bucket_bits_,   zigzag_};
  }
  uint32_t find(size_t table, uint32_t slot) const { return view().find(table, slot); }
  Coded classify(size_t table, int32_t symbol) const { return view().classify(table, symbol); }
  int64_t coarse_value(size_t table, uint32_t cls) const { return view().coarse_value(table, cls); }
  int64_t coarse_value_of_escape(size_t table, uint64_t number) const {
    return view().coarse_value_of_escape(table, number);
  }

 private:
  void make_small(const Spec& spec);
  void make_single();

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
