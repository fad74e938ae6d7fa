// Seeded sets of tables, and streams in any layout of them, that no encoder's choices limit.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/checked.h"
#include "fuzz/random.h"
#include "rans/device.h"
#include "rans/layout.h"
#include "rans/tables.h"

namespace pycodec::fuzz {

// Positive integers that sum to 2^precision: about even, or nearly all of it in the first.
inline void append_freqs(Random& random, int classes, int precision, std::vector<uint16_t>& freqs) {
  int left = (1 << precision) - classes;
  const bool even = random.between(0, 1) != 0;
  for (int c = 0; c < classes; ++c) {
    const int extra = c + 1 == classes ? left : random.between(0, even ? 2 * left / (classes - c) : left);
    freqs.push_back(static_cast<uint16_t>(1 + std::min(extra, left)));
    left -= std::min(extra, left);
  }
}

// A single table, a small set or a large one, with or without everything that tables can have.
inline rans::Tables seeded_tables(uint64_t seed) {
  Random random(seed);
  const int counts[] = {1, 1, 2, 5, 64, 65, 100}, mosts[] = {1, 2, 5, 40, 64, 65, 256, 257, 1000};
  const int reaches[] = {0, 3, 200000};
  const int precision = random.between(8, 14), count = random.one_of(counts), reach = random.one_of(reaches);
  const int most = std::min(random.one_of(mosts), 1 << (precision - 1));
  const bool zigzag = random.between(0, 1) != 0, shifted = random.between(0, 1) != 0;
  const bool escaping = random.between(0, 1) != 0, at_the_end = random.between(0, 9) == 0;
  std::vector<uint16_t> freqs;
  std::vector<int32_t> sizes, offsets;
  std::vector<uint8_t> shifts, escapes;
  for (int t = 0; t < count; ++t) {
    escapes.push_back(escaping ? random.between(0, 1) : 0);
    sizes.push_back(t == 0 ? most : random.between(1, most));
    shifts.push_back(shifted ? random.between(0, 7) : 0);
    offsets.push_back(random.between(-reach, reach));
    if (at_the_end && shifts[t] == 0) offsets[t] = INT32_MIN + sizes[t];  // where differences wrap
    append_freqs(random, sizes[t], precision, freqs);
  }
  return rans::Tables({precision, zigzag, freqs, sizes, offsets, shifts, escapes});
}

// A set, and its arrays as the device's kernels take them.
struct TableSet {
  explicit TableSet(uint64_t seed) : tables(seeded_tables(seed)), flat(rans::flat_tables(tables)) {}

  rans::TableSource source(const std::vector<int32_t>& indexes) const {
    return {rans::tables_at(tables.view(), tables.classes(), flat.data()),
            tables.classes(),
            tables.has_shifts(),
            tables.has_escapes(),
            {indexes.empty() ? nullptr : indexes.data(), rans::IntType::kI32}};
  }

  rans::Tables tables;
  std::vector<uint8_t> flat;
};

// The set of a number: made once.
inline const TableSet& set_of(uint8_t seed) {
  static std::array<std::unique_ptr<TableSet>, 256> made;
  if (!made[seed]) made[seed] = std::make_unique<TableSet>(seed);
  return *made[seed];
}

inline rans::Form form_of(const rans::Tables& tables) {
  return {tables.precision(), tables.has_shifts(), tables.has_escapes()};
}

// A symbol as its table expects it, now and then far outside.
inline int32_t random_symbol(Random& random, const rans::Tables& tables, size_t table) {
  const uint32_t slot = static_cast<uint32_t>(random.between(0, (1 << tables.precision()) - 1));
  const uint32_t cls = tables.find(table, slot);
  const int shift = tables.shift(table);
  int64_t q = 0;
  if (tables.is_escape(table, cls)) {
    q = tables.coarse_value_of_escape(
        table, static_cast<uint64_t>(random.between(0, 1 << 20)) >> random.between(0, 20));
    if (!rans::is_coarse_int32(q, shift)) q = 0;
  } else {
    q = tables.coarse_value(table, cls);
  }
  return static_cast<int32_t>(q * (1 << shift) + random.between(0, (1 << shift) - 1));
}

// A stream before its checksums are made.
struct Parts {
  uint64_t lanes, count, chunk_symbols;
  std::vector<rans::ChunkSizes> chunks;
  std::vector<uint8_t> payload;

  size_t payload_size() const {
    size_t size = 0;
    for (const rans::ChunkSizes& c : chunks) size += 4 * lanes + 2 * c.words + c.raw + c.escapes;
    return size;
  }
  std::vector<uint8_t> stream(const rans::Form& form) const {
    return rans::write_stream(form, lanes, count, chunk_symbols, chunks, payload);
  }
};

// Symbols on that many lanes and in chunks of that many, as no encoder on a CPU would choose: by the kernels
// of the device's encoder. An empty result says that a symbol has no class.
inline Parts encoded_parts(const TableSet& set, const std::vector<int32_t>& indexes,
                           const std::vector<int32_t>& symbols, uint64_t lanes, uint64_t chunk_symbols) {
  const rans::TableSource source = set.source(indexes);
  const uint64_t count = symbols.size(), chunks = ceil_div(count, chunk_symbols);
  std::vector<rans::Prepared> prepared(count);
  rans::Totals totals{0, 0, UINT64_MAX};
  const rans::IntView view{symbols.data(), rans::IntType::kI32};
  rans::classify({view, count, prepared.data(), &totals}, source, {});
  if (totals.first_bad != UINT64_MAX) return {};

  const uint64_t raw_room = 7 * chunk_symbols / 32 + 2;
  const uint64_t escape_room = std::min<uint64_t>(5 * chunk_symbols, totals.escape_bytes);
  std::vector<uint16_t> words(chunks * chunk_symbols);
  std::vector<uint32_t> raw(chunks * raw_room);
  std::vector<uint8_t> escapes(chunks * escape_room);
  std::vector<rans::ChunkResult> results(chunks);
  rans::encode_chunks(
      {view, prepared.data(), count, chunk_symbols, static_cast<int>(lanes), set.tables.precision(),
       words.data(), raw.data(), raw_room, escapes.data(), escape_room, results.data()},
      &source, {});
  Parts parts{lanes, count, chunk_symbols, {}, {}};
  const auto append = [&](const void* from, size_t bytes) {
    const auto* data = static_cast<const uint8_t*>(from);
    parts.payload.insert(parts.payload.end(), data, data + bytes);
  };
  for (uint64_t c = 0; c < chunks; ++c) {
    const rans::ChunkResult& r = results[c];
    const uint64_t end = std::min(count, (c + 1) * chunk_symbols);
    append(r.states, 4 * lanes);
    append(words.data() + end - r.words, 2 * r.words);
    append(raw.data() + c * raw_room, r.raw);
    append(escapes.data() + c * escape_room, r.escapes);
    parts.chunks.push_back({r.words, r.tail, r.raw, r.escapes});
  }
  return parts;
}

}  // namespace pycodec::fuzz
