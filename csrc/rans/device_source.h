// One symbol at a time on a device: its table, its class, and back, for both sources of tables.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/warp.h"
#include "rans/device.h"
#include "rans/pmf.h"
#include "rans/step.h"

namespace pycodec::rans {

// What the encoder needs to know of a symbol.
struct Item {
  uint32_t packed, cost, escape_bytes;
};

// --- Prepared tables ---

// Of symbol i, or tables.size where its index names none.
PYCODEC_KERNEL inline uint32_t table_of(const TableSource& source, uint64_t i) {
  if (source.indexes.data == nullptr) return 0;
  const int64_t index = source.indexes[i];
  return index >= 0 && index < source.tables.size ? static_cast<uint32_t>(index) : source.tables.size;
}
PYCODEC_KERNEL inline void look_ahead(const TableSource& source, uint64_t i) {
  if (source.indexes.data != nullptr) prefetch(source.indexes.address(i));
}

// The class at a slot, `table` being what table_of gave.
PYCODEC_KERNEL inline ChunkFault::Kind find_class(const TableSource& source, uint64_t, uint32_t table,
                                                  uint32_t slot, uint32_t& cls, uint32_t& packed) {
  if (table == source.tables.size) return ChunkFault::kBadIndex;
  cls = source.tables.find(table, slot);
  packed = source.tables.packed[source.tables.tables[table].first + cls];
  return ChunkFault::kNone;
}

// False when symbol i has no class or no table.
PYCODEC_KERNEL inline bool classify_symbol(const TableSource& source, uint64_t i, int64_t symbol,
                                           Item& item) {
  const uint32_t table = table_of(source, i);
  if (table == source.tables.size || symbol != static_cast<int32_t>(symbol)) return false;
  const Coded coded = source.tables.classify(table, static_cast<int32_t>(symbol));
  if (coded.cls == kNoClass) return false;
  const uint32_t at = source.tables.tables[table].first + coded.cls;
  const bool escape = source.tables.is_escape(table, coded.cls);
  item = {source.tables.packed[at], source.tables.costs[at],
          escape ? static_cast<uint32_t>(varint_bytes(coded.escape_number)) : 0};
  return true;
}

// --- Rows of probabilities ---

PYCODEC_KERNEL inline uint32_t table_of(const PmfSource&, uint64_t) { return 0; }
PYCODEC_KERNEL inline void look_ahead(const PmfSource& source, uint64_t i) {
  prefetch(source.floats != nullptr ? static_cast<const void*>(source.floats + i * source.classes)
                                    : source.words + i * source.classes);
}

// Walks a row to the class for which wanted(class, start, next start) is true, and on to its end, since all
// of it has to be a distribution: false when it is none.
template <class T, class Wanted>
PYCODEC_KERNEL inline bool walk_pmf(const T* row, uint32_t classes, Wanted wanted, uint32_t& cls,
                                    uint32_t& packed) {
  constexpr uint32_t kTotal = 1u << kPmfPrecision;
  const uint32_t spare = kTotal - classes;
  uint32_t start = 0;
  for (uint32_t c = 0; c < classes; ++c) {
    const T p = row[c];
    if (!is_probability(p)) return false;
    const uint32_t next = start + pmf_freq(p, spare);
    if (next > kTotal) return false;
    const uint32_t end = c + 1 == classes ? kTotal : next;
    if (wanted(c, start, end)) {
      cls = c;
      packed = pack_class(start, end - start);
    }
    start = next;
  }
  return true;
}
template <class Wanted>
PYCODEC_KERNEL inline bool walk_pmf(const PmfSource& source, uint64_t i, Wanted wanted, uint32_t& cls,
                                    uint32_t& packed) {
  return source.floats != nullptr
             ? walk_pmf(source.floats + i * source.classes, source.classes, wanted, cls, packed)
             : walk_pmf(source.words + i * source.classes, source.classes, wanted, cls, packed);
}

PYCODEC_KERNEL inline ChunkFault::Kind find_class(const PmfSource& source, uint64_t i, uint32_t,
                                                  uint32_t slot, uint32_t& cls, uint32_t& packed) {
  const auto holds = [slot](uint32_t, uint32_t start, uint32_t end) { return slot >= start && slot < end; };
  return walk_pmf(source, i, holds, cls, packed) ? ChunkFault::kNone : ChunkFault::kBadPmfs;
}

PYCODEC_KERNEL inline bool classify_symbol(const PmfSource& source, uint64_t i, int64_t symbol, Item& item) {
  uint32_t cls = 0;
  const auto is = [symbol](uint32_t c, uint32_t, uint32_t) { return static_cast<int64_t>(c) == symbol; };
  if (symbol < 0 || symbol >= static_cast<int64_t>(source.classes)) return false;
  if (!walk_pmf(source, i, is, cls, item.packed)) return false;
  item.cost = kPmfPrecision * 256 - log2_256(class_freq(item.packed));
  item.escape_bytes = 0;
  return true;
}

}  // namespace pycodec::rans
