// Faster loops over blocks of symbols, one set per SIMD level.
//
// Each takes symbols from the front for as long as they suit it and returns how many it did; the plain loops
// of encode.cpp and decode.cpp do the rest, and say what the result must be.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/cpu_features.h"
#include "rans/pmf.h"
#include "rans/raw_bits.h"
#include "rans/tables.h"

namespace pycodec::rans {

// Words of a stream that are left to read.
struct Words {
  const uint8_t* next;
  const uint8_t* end;
};

// Where raw bits are put, from bit 0 of a byte up. Up to 16 bytes beyond the last may be overwritten.
struct RawSink {
  void put(uint64_t value, int bits) {  // bits <= 56, value < 2^bits
    pending |= value << count;
    count += bits;
    store_u32(next, static_cast<uint32_t>(pending));
    store_u32(next + 4, static_cast<uint32_t>(pending >> 32));
    next += count >> 3;
    pending >>= count & ~7;
    count &= 7;
  }

  uint8_t* next;
  uint64_t pending = 0;
  int count = 0;  // < 8, in pending
};

// Raw bits that are left to read.
struct RawSource {
  // Fields of up to 7 bits. False when the data ends inside the field.
  bool get(int bits, uint32_t& value) {
    if (!read_raw(data.data(), data.size(), bit, bits, value)) return false;
    bit += static_cast<size_t>(bits);
    return true;
  }
  size_t bytes_read() const { return (bit + 7) / 8; }
  // Whether nothing but zeros of the last byte is left.
  bool at_end() const { return raw_ends_at(data.data(), data.size(), bit); }

  Bytes data;
  size_t bit = 0;
};

struct BlockLoops {
  // Packed classes of symbols that are not escapes, and their raw bits.
  size_t (*classify)(const Tables& tables, const int32_t* symbols, const int32_t* indexes, size_t n,
                     uint32_t* packed, RawSink* raw);

  // Codes symbols [n - result, n) backward on 32 lanes, symbol i on lane i mod 32, words going down from
  // *end.
  size_t (*encode)(const uint32_t* packed, size_t n, int precision, uint32_t* states, uint16_t** end);

  // Classes of symbols on 32 lanes, the first of them on lane 0. A multiple of 32, and only while every word
  // that they could need is there.
  size_t (*decode)(const Tables& tables, const int32_t* indexes, size_t n, uint32_t* states, Words* words,
                   uint16_t* classes);

  // Values of classes that are not escapes, with their raw bits.
  size_t (*values)(const Tables& tables, const int32_t* indexes, const uint16_t* classes, size_t n,
                   RawSource* raw, int32_t* values);

  // The same for rows of probabilities, `row` being the first: packed classes, and classes. They stop before
  // what is refused.
  size_t (*classify_pmfs)(const Pmfs& pmfs, size_t row, const int32_t* symbols, size_t n, uint32_t* packed);
  size_t (*decode_pmfs)(const Pmfs& pmfs, size_t row, size_t n, uint32_t* states, Words* words,
                        uint16_t* classes);
};

// Of a level, or of the highest below it that has any; for the scalar level they take no symbol.
const BlockLoops& block_loops(Simd level);

#if defined(__x86_64__)
const BlockLoops& avx512_block_loops();
#endif

}  // namespace pycodec::rans
