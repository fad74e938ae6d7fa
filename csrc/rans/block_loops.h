// Faster loops over whole rounds of 32 lanes, one set per SIMD level.
//
// Each takes rounds for as long as they suit it and moves the chunks on by these; the plain loops of
// encode.cpp and decode.cpp do the rest, and say what the result must be. A round does not suit when it needs
// an error message, an escape, or words or raw bits near the end of the data. Two chunks are taken at a time,
// so that they can be in tandem: that hides the latency of a chunk's one long chain of states.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/cpu_features.h"
#include "rans/arrays.h"
#include "rans/pmf.h"
#include "rans/raw_bits.h"
#include "rans/tables.h"

namespace pycodec::rans {

constexpr size_t kRound = 32;
constexpr size_t kTandem = 4;

// A chunk whose next round, going backward, begins at array position `end - 32`.
struct EncodingLanes {
  size_t end;
  uint32_t* states;  // [32]
  uint16_t* words;   // the first one written; they go down, and as many as 32 below may be overwritten
  RawSink* raw;
};

// Words of a stream that are left to read.
struct Words {
  const uint8_t* next;
  const uint8_t* end;
};

// A chunk whose next round begins at array position `begin`, on lane 0.
struct DecodingLanes {
  size_t begin;
  uint32_t* states;  // [32]
  Words words;
  RawSource* raw;
};

struct BlockLoops {
  // Packed classes from array position `begin` on, for the sampling of costs; returns the rounds it did.
  size_t (*classify)(const Tables& tables, const IntArray& symbols, const IntArray& indexes, size_t begin,
                     size_t rounds, uint32_t* packed, RawSink* raw);
  size_t (*classify_pmfs)(const Pmfs& pmfs, const IntArray& symbols, size_t begin, size_t rounds,
                          uint32_t* packed);

  // At most `rounds` of each of `count` <= kTandem chunks.
  void (*encode)(const Tables& tables, const IntArray& symbols, const IntArray& indexes,
                 EncodingLanes* chunks, size_t count, size_t rounds);
  void (*decode)(const Tables& tables, const IntArray& indexes, const MutableIntArray& out,
                 DecodingLanes* chunks, size_t count, size_t rounds);
  void (*encode_pmfs)(const Pmfs& pmfs, const IntArray& symbols, EncodingLanes* chunks, size_t count,
                      size_t rounds);
  void (*decode_pmfs)(const Pmfs& pmfs, const MutableIntArray& out, DecodingLanes* chunks, size_t count,
                      size_t rounds);
};

// Of a level; for the scalar one they take no round.
const BlockLoops& block_loops(Simd level);

#if defined(__x86_64__)
const BlockLoops& avx2_block_loops();
const BlockLoops& avx512_block_loops();
#endif

}  // namespace pycodec::rans
