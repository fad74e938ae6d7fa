#include "rans/tables.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "base/checked.h"
#include "rans/choices.h"

namespace pycodec::rans {

Tables::Tables(const Spec& spec) : precision_(spec.precision), zigzag_(spec.zigzag) {
  const size_t count = spec.sizes.size();
  if (precision_ < kMinPrecision || precision_ > kMaxPrecision) {
    throw InvalidArgument("precision is " + std::to_string(precision_) + "; expected 8 to 14 bits");
  }
  if (count == 0) throw InvalidArgument("there are no tables; expected at least one");
  if (count > kMax) {
    throw InvalidArgument("there are " + std::to_string(count) + " tables; expected at most " +
                          std::to_string(kMax));
  }
  if (spec.offsets.size() != count || spec.shifts.size() != count || spec.escapes.size() != count) {
    throw InvalidArgument(
        "sizes, offsets, shifts and escapes differ in length; expected one of each a table");
  }
  tables_.reserve(count);
  packed_.reserve(spec.freqs.size());
  costs_.reserve(spec.freqs.size());
  // About 2^14 buckets in all, which a cache holds; at least 2^8 a table.
  const int wanted = kMaxPrecision - ceil_log2(count);
  bucket_bits_ = std::min(precision_, std::max(kMinPrecision, wanted));
  buckets_.resize(checked_add(checked_mul(count, size_t{1} << bucket_bits_), size_t{1}));
  const uint32_t total = 1u << precision_;
  for (size_t t = 0; t < count; ++t) {
    const auto refuse = [&](const std::string& why) {
      throw InvalidArgument("table " + std::to_string(t) + ": " + why);
    };
    const int32_t size = spec.sizes[t];
    if (size < 1 || static_cast<size_t>(size) > spec.freqs.size() - packed_.size()) {
      refuse("its size is " + std::to_string(size) + ", but " +
             std::to_string(spec.freqs.size() - packed_.size()) + " frequencies are left");
    }
    if (spec.shifts[t] > 7) refuse("its shift is " + std::to_string(spec.shifts[t]) + "; expected 0 to 7");
    if (spec.escapes[t] > 1)
      refuse("its escape flag is " + std::to_string(spec.escapes[t]) + "; expected 0 or 1");

    Table table{};
    table.first = checked_cast<uint32_t>(packed_.size());
    table.has_escape = spec.escapes[t];
    table.plain = static_cast<uint16_t>(size - table.has_escape);
    table.offset = spec.offsets[t];
    table.shift = spec.shifts[t];

    uint32_t start = 0, bucket = 0;
    const uint32_t buckets = 1u << bucket_bits_, bucket_width = total >> bucket_bits_;
    for (int32_t c = 0; c < size; ++c) {
      const uint32_t freq = spec.freqs[packed_.size()];
      if (freq == 0 || freq > total - start) {
        refuse("the frequency of class " + std::to_string(c) + " is " + std::to_string(freq) +
               "; expected at least 1 and a sum of 2^" + std::to_string(precision_));
      }
      packed_.push_back(pack_class(start, freq));
      const bool is_escape = table.has_escape != 0 && c + 1 == size;
      const uint32_t bits = static_cast<uint32_t>(precision_ + table.shift + (is_escape ? 8 : 0));
      costs_.push_back(static_cast<uint16_t>(256 * bits - log2_256(freq)));
      start += freq;
      for (; bucket < buckets && bucket * bucket_width < start; ++bucket) {
        buckets_[(t << bucket_bits_) + bucket] = static_cast<uint16_t>(c);
      }
    }
    if (start != total) {
      refuse("its frequencies sum to " + std::to_string(start) + "; expected 2^" +
             std::to_string(precision_));
    }
    tables_.push_back(table);
    has_escapes_ = has_escapes_ || table.has_escape != 0;
    has_shifts_ = has_shifts_ || table.shift > 0;
    has_offsets_ = has_offsets_ || table.offset != 0;

    // Every class stands for int32 symbols, so that decoding needs no check but at escapes.
    const int64_t reach = table.plain;
    const int64_t lowest = zigzag_ ? table.offset - reach / 2 : table.offset;
    const int64_t highest = zigzag_ ? table.offset + reach / 2 : table.offset + reach;
    const int64_t scale = int64_t{1} << table.shift;
    if (lowest * scale < std::numeric_limits<int32_t>::min() ||
        highest * scale > std::numeric_limits<int32_t>::max()) {
      refuse("its symbols reach beyond int32; expected an offset nearer to 0");
    }
    bases_.push_back(static_cast<int32_t>(table.offset * scale));
    bases_are_small_ = bases_are_small_ && bases_[t] >= -(1 << 30) && bases_[t] <= 1 << 30;
  }
  if (packed_.size() != spec.freqs.size()) {
    throw InvalidArgument(std::to_string(spec.freqs.size()) +
                          " frequencies were given, but the sizes sum to " + std::to_string(packed_.size()));
  }
  make_small(spec);
  make_single();
}

void Tables::make_small(const Spec& spec) {
  const auto fits = [](int32_t size) { return size <= 64; };
  if (tables_.size() > 64 || !std::all_of(spec.sizes.begin(), spec.sizes.end(), fits)) return;
  small_ = std::make_unique<Small>();
  for (auto& row : small_->starts) std::fill(std::begin(row), std::end(row), uint16_t(1 << precision_));
  for (size_t t = 0; t < tables_.size(); ++t) {
    small_->plain[t] = tables_[t].plain;
    small_->shifts[t] = tables_[t].shift;
    for (int32_t c = 0; c < spec.sizes[t]; ++c) {
      const uint32_t both = packed_[tables_[t].first + static_cast<uint32_t>(c)];
      small_->starts[c][t] = static_cast<uint16_t>(class_start(both));
      small_->packed[t][c] = both;
    }
  }
}

void Tables::make_single() {
  if (tables_.size() > 1 || packed_.size() > 256 || zigzag_ || has_shifts_) return;
  single_ = std::make_unique<Single>();
  single_->plain = tables_[0].plain;
  for (size_t c = 0; c < packed_.size(); ++c) {
    single_->classes.insert(single_->classes.end(), class_freq(packed_[c]), static_cast<uint8_t>(c));
    for (uint32_t inside = 0; precision_ <= 12 && inside < class_freq(packed_[c]); ++inside) {
      single_->entries.push_back(static_cast<uint32_t>(c) | inside << 8 | (class_freq(packed_[c]) - 1) << 20);
    }
    for (size_t byte = 0; byte < 4; ++byte) {
      single_->bytes[byte][c] = static_cast<uint8_t>(packed_[c] >> 8 * byte);
    }
  }
}

}  // namespace pycodec::rans
