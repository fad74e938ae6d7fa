// The decoder's kernel: a warp decodes a chunk, one round of its lanes after another. Like the CPU's it
// believes nothing the data says, and reads nothing outside it; the first thing that is wrong ends the chunk.
#pragma once

#include <type_traits>

#include "base/warp.h"
#include "base/word_window.h"
#include "rans/device_source.h"
#include "rans/raw_bits.h"

namespace pycodec::rans {

constexpr uint64_t kRoundsAhead = 8;  // whose memory is asked for in advance

template <class Source>
struct DecodeChunk {
  DecodeJob job;
  Source source;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const DecodeRecord chunk = job.chunks[index];
    const ChunkFault fault = decode(warp, chunk);
    warp.each([&](int lane) {
      if (lane == 0) job.faults[index] = fault;
    });
  }

 private:
  // What is still to be read beside the words.
  struct SideData {
    const uint8_t *raw, *escapes;
    size_t raw_bytes, escape_bytes;
    size_t raw_bit = 0, escape_byte = 0;
  };

  PYCODEC_KERNEL ChunkFault decode(const Warp& warp, const DecodeRecord& chunk) const {
    const uint8_t* payload = job.data + chunk.offset;
    const int lanes = job.lanes, precision = job.precision;
    const uint32_t mask = (1u << precision) - 1;
    Each<uint32_t> states;
    warp.each([&](int lane) { states[lane] = lane < lanes ? load_u32(payload + 4 * lane) : kLowerBound; });
    if (const uint32_t bad = warp.ballot([&](int lane) { return states[lane] < kLowerBound; })) {
      return {ChunkFault::kBadState, static_cast<uint32_t>(lowest_lane(bad)), 0};
    }
    WordWindow words;
    words.open(warp, payload + 4 * lanes, static_cast<uint32_t>(chunk.words), 0);
    const uint8_t* raw = payload + 4 * lanes + 2 * chunk.words;
    SideData side{raw, raw + chunk.raw, chunk.raw, chunk.escapes};

    const uint64_t end = chunk.first_symbol + chunk.symbols, lanes_end = end - chunk.tail;
    Each<uint32_t> tables = load_tables(warp, chunk.first_symbol, lanes_end);
    for (uint64_t at = chunk.first_symbol; at < lanes_end; at += lanes) {
      const int n = at + lanes < lanes_end ? lanes : static_cast<int>(lanes_end - at);
      const Each<uint32_t> next_tables = load_tables(warp, at + lanes, lanes_end);
      Each<uint32_t> classes, kinds;
      warp.each([&](int lane) {
        kinds[lane] = ChunkFault::kNone;
        if (lane >= n) return;
        const uint64_t symbol = at + lane;
        if (symbol + kRoundsAhead * lanes < end) look_ahead(source, symbol + kRoundsAhead * lanes);
        uint32_t packed = 0;
        kinds[lane] = find_class(source, symbol, tables[lane], states[lane] & mask, classes[lane], packed);
        states[lane] = step_decode(states[lane], packed, precision);
      });
      if (const uint32_t bad = warp.ballot([&](int lane) { return kinds[lane] != ChunkFault::kNone; })) {
        return {warp.read(kinds, lowest_lane(bad)), 0, at + lowest_lane(bad)};
      }
      uint32_t refill = warp.ballot([&](int lane) { return lane < n && states[lane] < kLowerBound; });
      const uint32_t needed = lane_count(refill);
      if (needed > words.left()) {
        for (uint32_t have = words.left(); have > 0; --have) refill &= refill - 1;
        return {ChunkFault::kWordsEnd, 0, at + lowest_lane(refill)};
      }
      const Each<uint32_t> word =
          words.peek(warp, [refill](int lane) { return lane_count(refill & lanes_below(lane)); });
      words.skip(warp, needed);
      warp.each([&](int lane) {
        if ((refill >> lane & 1) != 0) states[lane] = states[lane] << 16 | word[lane];
      });
      const ChunkFault fault = store(warp, at, n, tables, classes, side);
      if (fault.kind != ChunkFault::kNone) return fault;
      tables = next_tables;
    }
    if (words.left() != 0) return {ChunkFault::kWordsLeft, words.position(), 0};
    const uint32_t odd = warp.ballot([&](int lane) {
      return lane < lanes && (states[lane] >> 16 != 1 || (lanes == 1 && states[lane] != kLowerBound));
    });
    if (odd != 0) return {ChunkFault::kEndState, static_cast<uint32_t>(lowest_lane(odd)), 0};
    if (lanes > 1) {
      const ChunkFault fault = decode_tail(warp, states, lanes_end, end, side);
      if (fault.kind != ChunkFault::kNone) return fault;
    }
    if (!raw_ends_at(side.raw, side.raw_bytes, side.raw_bit)) return {ChunkFault::kRawLeft, 0, 0};
    if (side.escape_byte != side.escape_bytes) return {ChunkFault::kEscapesLeft, 0, 0};
    return {ChunkFault::kNone, 0, 0};
  }

  // The symbols [at, end) on the lane within the lanes' states.
  PYCODEC_KERNEL ChunkFault decode_tail(const Warp& warp, const Each<uint32_t>& states, uint64_t at,
                                        uint64_t end, SideData& side) const {
    const uint32_t mask = (1u << job.precision) - 1;
    uint32_t x = warp.read(states, 0) << 16 | (warp.read(states, 1) & 0xffff);
    int word = 2;
    if (x < kLowerBound) return {ChunkFault::kTailState, 0, 0};
    for (; at < end; at += kWarpLanes) {
      const int n = at + kWarpLanes < end ? kWarpLanes : static_cast<int>(end - at);
      const Each<uint32_t> tables = load_tables(warp, at, end);
      Each<uint32_t> classes;
      for (int i = 0; i < n; ++i) {
        uint32_t cls = 0, packed = 0;
        const ChunkFault::Kind kind = find_class(source, at + i, warp.read(tables, i), x & mask, cls, packed);
        if (kind != ChunkFault::kNone) return {kind, 0, at + i};
        x = step_decode(x, packed, job.precision);
        if (x < kLowerBound) {
          if (word == job.lanes) return {ChunkFault::kTailWordsEnd, 0, at + i};
          x = x << 16 | (warp.read(states, word++) & 0xffff);
        }
        warp.each([&](int lane) {
          if (lane == i) classes[lane] = cls;
        });
      }
      const ChunkFault fault = store(warp, at, n, tables, classes, side);
      if (fault.kind != ChunkFault::kNone) return fault;
    }
    const uint32_t unclean = warp.ballot(
        [&](int lane) { return lane >= word && lane < job.lanes && states[lane] != kLowerBound; });
    if (x != kLowerBound || unclean != 0) return {ChunkFault::kTailEnd, 0, 0};
    return {ChunkFault::kNone, 0, 0};
  }

  // The tables of the symbols from `at` on, one a lane.
  PYCODEC_KERNEL Each<uint32_t> load_tables(const Warp& warp, uint64_t at, uint64_t end) const {
    Each<uint32_t> tables;
    warp.each([&](int lane) { tables[lane] = at + lane < end ? table_of(source, at + lane) : 0; });
    return tables;
  }

  // Stores the symbols at .. at + n - 1 that these classes stand for.
  PYCODEC_KERNEL ChunkFault store(const Warp& warp, uint64_t at, int n, const Each<uint32_t>& tables,
                                  const Each<uint32_t>& classes, SideData& side) const {
    if constexpr (std::is_same_v<Source, PmfSource>) {
      warp.each([&](int lane) {
        if (lane < n) job.symbols[at + lane] = static_cast<int32_t>(classes[lane]);
      });
      return {ChunkFault::kNone, 0, 0};
    } else {
      const TableView& set = source.tables;
      Each<uint32_t> low{};
      if (source.has_shifts) {
        Each<uint32_t> bits;
        warp.each([&](int lane) { bits[lane] = lane < n ? set.tables[tables[lane]].shift : 0; });
        const uint32_t all = warp.exclusive_sum(bits);
        const uint32_t missing = warp.ballot([&](int lane) {
          const int k = lane < n ? set.tables[tables[lane]].shift : 0;
          return k > 0 && !read_raw(side.raw, side.raw_bytes, side.raw_bit + bits[lane], k, low[lane]);
        });
        if (missing != 0) return {ChunkFault::kRawEnds, 0, at + lowest_lane(missing)};
        side.raw_bit += all;
      }
      Each<uint64_t> numbers;
      uint32_t escaped = 0;
      if (source.has_escapes) {
        escaped =
            warp.ballot([&](int lane) { return lane < n && set.is_escape(tables[lane], classes[lane]); });
        for (uint32_t left = escaped; left != 0; left &= left - 1) {
          const Varint v = read_varint(side.escapes + side.escape_byte, side.escape_bytes - side.escape_byte);
          const uint64_t symbol = at + lowest_lane(left);
          if (v.fault != Varint::kNone) return {ChunkFault::kEscapesDamaged, 0, symbol};
          if (v.value >> 40 != 0) return {ChunkFault::kEscapeRange, 0, symbol};
          side.escape_byte += v.bytes;
          warp.each([&](int lane) {
            if (lane == lowest_lane(left)) numbers[lane] = v.value;
          });
        }
      }
      const uint32_t beyond = warp.ballot([&](int lane) {
        if (lane >= n) return false;
        const int k = set.tables[tables[lane]].shift;
        const bool is_escape = (escaped >> lane & 1) != 0;
        const int64_t q = is_escape ? set.coarse_value_of_escape(tables[lane], numbers[lane])
                                    : set.coarse_value(tables[lane], classes[lane]);
        if (is_escape && !is_coarse_int32(q, k)) return true;
        job.symbols[at + lane] = static_cast<int32_t>(q) * (1 << k) + static_cast<int32_t>(low[lane]);
        return false;
      });
      if (beyond != 0) return {ChunkFault::kEscapeRange, 0, at + lowest_lane(beyond)};
      return {ChunkFault::kNone, 0, 0};
    }
  }
};

}  // namespace pycodec::rans
