// The encoder's kernels: classes of all symbols, then a warp for every chunk. The same steps as encode.cpp.
#pragma once

#include "base/warp.h"
#include "rans/device_source.h"

namespace pycodec::rans {

template <class Source>
struct Classify {
  ClassifyJob job;
  Source source;

  // Symbols 32 * block to 32 * block + 31.
  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t block) const {
    Each<uint64_t> cost, escape_bytes;
    warp.each([&](int lane) {
      cost[lane] = escape_bytes[lane] = 0;
      const uint64_t i = block * kWarpLanes + lane;
      if (i >= job.count) return;
      Item item{pack_class(0, 1), 0, 0};
      if (classify_symbol(source, i, job.symbols[i], item)) {
        if (is_sampled(i, job.count)) cost[lane] = item.cost;
        escape_bytes[lane] = item.escape_bytes;
      } else {
        atomic_min(&job.totals->first_bad, i);
      }
      job.prepared[i] = {item.packed, reciprocal_of(class_freq(item.packed))};
    });
    add(warp, &job.totals->cost, cost);
    add(warp, &job.totals->escape_bytes, escape_bytes);
  }

 private:
  PYCODEC_KERNEL static void add(const Warp& warp, uint64_t* total, Each<uint64_t>& values) {
    if (warp.ballot([&](int lane) { return values[lane] != 0; }) == 0) return;
    const uint64_t sum = warp.exclusive_sum(values);
    warp.each([&](int lane) {
      if (lane == 0) atomic_add(total, sum);
    });
  }
};

// Tables are the side data's; has_side_data false: there is none, as with rows of probabilities.
struct EncodeChunk {
  EncodeJob job;
  TableSource source;
  bool has_side_data;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const uint64_t first = index * job.chunk_symbols;
    const uint64_t n = job.count - first < job.chunk_symbols ? job.count - first : job.chunk_symbols;
    uint64_t raw = 0, escapes = 0;
    if (has_side_data) put_side_data(warp, index, first, n, raw, escapes);

    Each<uint32_t> states;
    warp.each([&](int lane) { states[lane] = kLowerBound; });
    const uint64_t tail = job.lanes > 1 ? encode_tail(warp, first, n, states) : 0;
    // At most one word a symbol, so that they fit before the room's end.
    uint16_t* end = job.words + first + n;
    const uint64_t words = encode_lanes(warp, first, n - tail, states, end);

    ChunkResult& result = job.results[index];
    warp.each([&](int lane) {
      result.states[lane] = states[lane];
      if (lane != 0) return;
      result.words = words;
      result.tail = tail;
      result.raw = raw;
      result.escapes = escapes;
    });
  }

 private:
  // The symbols from the end of [first, first + n) whose words fit in the lanes' start states; sets those
  // states and gives the number of symbols.
  PYCODEC_KERNEL uint64_t encode_tail(const Warp& warp, uint64_t first, uint64_t n,
                                      Each<uint32_t>& states) const {
    const int room = job.lanes - 2;
    Each<uint32_t> words{};
    int used = 0;
    uint32_t x = kLowerBound;
    uint64_t left = n;
    bool fits = true;
    while (fits && left > 0) {
      Each<Prepared> batch;  // the last 32 of those left, the last one on lane 0
      warp.each([&](int lane) {
        const uint64_t back = static_cast<uint64_t>(lane) < left ? lane : left - 1;
        batch[lane] = job.prepared[first + left - 1 - back];
      });
      Each<uint32_t> packed;
      warp.each([&](int lane) { packed[lane] = batch[lane].packed; });
      const int count = left < kWarpLanes ? static_cast<int>(left) : kWarpLanes;
      for (int i = 0; i < count; ++i) {
        const uint32_t p = warp.read(packed, i);
        if (step_emits(x, class_freq(p), job.precision)) {
          if (used == room) {
            fits = false;
            break;
          }
          warp.each([&](int lane) {
            if (lane == used) words[lane] = x & 0xffff;
          });
          ++used;
          x >>= 16;
        }
        x = step_encode(x, p, job.precision);
        --left;
      }
    }
    // Word w lies in state 2 + w, the last one emitted first.
    const Each<uint32_t> reversed = warp.shuffle(words, [used](int lane) { return used + 1 - lane; });
    warp.each([&](int lane) {
      const uint32_t held = lane == 0                      ? x >> 16
                            : lane == 1                    ? x & 0xffff
                            : lane >= 2 && lane - 2 < used ? reversed[lane]
                                                           : 0;
      states[lane] = kLowerBound | held;
    });
    return n - left;
  }

  // Symbols [first, first + m) backward, their words going down from `end`; gives the number of words.
  PYCODEC_KERNEL uint64_t encode_lanes(const Warp& warp, uint64_t first, uint64_t m, Each<uint32_t>& states,
                                       uint16_t* end) const {
    const uint64_t lanes = job.lanes;
    uint16_t* word = end;
    Each<Prepared> ahead = load(warp, first, (m + lanes - 1) / lanes);
    for (uint64_t round = (m + lanes - 1) / lanes; round > 0; --round) {
      const uint64_t begin = (round - 1) * lanes;
      const int n = m - begin < lanes ? static_cast<int>(m - begin) : static_cast<int>(lanes);
      const Each<Prepared> symbols = ahead;
      ahead = load(warp, first, round - 1);
      encode_round(warp, n, symbols, job.precision, states, word);
    }
    return static_cast<uint64_t>(end - word);
  }

  // What the lanes code in round `round` - 1 from `first` on; in a round that is not full, the last lanes get
  // something else of the array.
  PYCODEC_KERNEL Each<Prepared> load(const Warp& warp, uint64_t first, uint64_t round) const {
    Each<Prepared> symbols;
    warp.each([&](int lane) {
      const uint64_t at = first + (round > 0 ? round - 1 : 0) * job.lanes + lane;
      symbols[lane] = job.prepared[at < job.count ? at : job.count - 1];
      if (round > 8 && lane < job.lanes) prefetch(job.prepared + at - 8 * static_cast<uint64_t>(job.lanes));
    });
    return symbols;
  }

  // Raw low bits and escapes of a chunk; gives the numbers of bytes.
  PYCODEC_KERNEL void put_side_data(const Warp& warp, uint64_t index, uint64_t first, uint64_t n,
                                    uint64_t& raw, uint64_t& escapes) const {
    uint32_t* raw_word = job.raw + index * job.raw_room;
    uint8_t* escape = job.escapes + index * job.escape_room;
    uint32_t pending = 0, bits = 0;  // of the word that is not full yet
    for (uint64_t at = 0; at < n; at += kWarpLanes) {
      Each<uint32_t> low, place, sizes;
      Each<int32_t> shifts;
      Each<uint64_t> numbers;
      warp.each([&](int lane) {
        low[lane] = place[lane] = sizes[lane] = 0;
        shifts[lane] = 0;
        if (at + lane >= n) return;
        const uint64_t i = first + at + lane;
        const uint32_t table = table_of(source, i);
        const int32_t symbol = static_cast<int32_t>(job.symbols[i]);
        const Coded coded = source.tables.classify(table, symbol);
        shifts[lane] = source.tables.tables[table].shift;
        place[lane] = static_cast<uint32_t>(shifts[lane]);
        low[lane] = static_cast<uint32_t>(symbol) & ((1u << shifts[lane]) - 1);
        numbers[lane] = coded.escape_number;
        if (source.tables.is_escape(table, coded.cls)) {
          sizes[lane] = static_cast<uint32_t>(varint_bytes(coded.escape_number));
        }
      });
      if (source.has_shifts) {
        const uint32_t end = bits + warp.exclusive_sum(place);
        for (uint32_t word = 0; word <= end / 32; ++word) {
          const uint32_t mine = warp.either([&](int lane) {
            const uint32_t from = bits + place[lane];
            if (from / 32 == word) return low[lane] << (from % 32);
            return from / 32 + 1 == word && from % 32 != 0 ? low[lane] >> (32 - from % 32) : 0u;
          });
          pending |= mine;
          if (word == end / 32) break;
          warp.each([&](int lane) {
            if (lane == 0) *raw_word = pending;
          });
          ++raw_word;
          pending = 0;
        }
        bits = end % 32;
        raw += end / 32 * 4;
      }
      if (source.has_escapes && warp.ballot([&](int lane) { return sizes[lane] != 0; }) != 0) {
        Each<uint32_t> offsets = sizes;
        const uint32_t all = warp.exclusive_sum(offsets);
        warp.each([&](int lane) {
          if (sizes[lane] != 0) store_varint(escape + offsets[lane], numbers[lane]);
        });
        escape += all;
        escapes += all;
      }
    }
    if (bits > 0) {
      warp.each([&](int lane) {
        if (lane == 0) *raw_word = pending;
      });
      raw += (bits + 7) / 8;
    }
  }
};

}  // namespace pycodec::rans
