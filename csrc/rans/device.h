// Bulk coding on a GPU: the passes that the encoder and the decoder consist of, over memory of the device.
// Python (pycodec/ops) allocates that memory, runs the passes and lays out the stream; what the bytes are is
// decided here and in layout.h, as for the CPU.
//
//   encode:  classify, one warp for 32 symbols: every symbol's class, the sum for the encoder's choices
//            encode_chunks, one warp a chunk: side data forward, then the lanes backward
//            gather: all parts of the stream into one piece of memory
//   decode:  decode_chunks, one warp a chunk
#pragma once

#include <cstdint>
#include <vector>

#include "base/queue.h"
#include "base/span.h"
#include "rans/choices.h"
#include "rans/encode_round.h"
#include "rans/int_view.h"
#include "rans/layout.h"
#include "rans/pmf.h"
#include "rans/table_view.h"
#include "rans/tables.h"

namespace pycodec::rans {

// A set of tables in one piece of memory, wherever that lies: [tables][packed][costs][buckets].
std::vector<uint8_t> flat_tables(const Tables& tables);
PYCODEC_HD inline size_t flat_tables_bytes(const TableView& t, size_t classes) {
  return t.size * sizeof(Table) + classes * (sizeof(uint32_t) + sizeof(uint16_t)) +
         (static_cast<size_t>(t.size) << t.bucket_bits) * sizeof(uint16_t);
}
// The same tables as `like`, of so many classes, with the arrays at `flat`, which is aligned to 16 bytes.
PYCODEC_HD inline TableView tables_at(const TableView& like, size_t classes, const uint8_t* flat) {
  TableView t = like;
  t.tables = reinterpret_cast<const Table*>(flat);
  t.packed = reinterpret_cast<const uint32_t*>(t.tables + t.size);
  t.costs = reinterpret_cast<const uint16_t*>(t.packed + classes);
  t.buckets = t.costs + classes;
  return t;
}

// Where a symbol's table comes from. Either one of a set, named by an index; no indexes: the only one.
struct TableSource {
  TableView tables;
  uint64_t classes;  // of all tables
  bool has_shifts, has_escapes;
  IntView indexes;
};
// Or a row of probabilities: one of these two.
struct PmfSource {
  const float* floats;
  const uint16_t* words;
  uint32_t classes;
};

// What classify() adds up.
struct Totals {
  uint64_t cost;          // of the sampled symbols, in 1/256 bit
  uint64_t escape_bytes;  // of all symbols
  uint64_t first_bad;     // lowest position of a symbol that has no class, or of a table that is none
};

struct ClassifyJob {
  IntView symbols;
  uint64_t count;
  Prepared* prepared;  // [count]
  Totals* totals;      // begins as 0, 0, 2^64 - 1
};
void classify(const ClassifyJob& job, const TableSource& source, const Queue& queue);
void classify(const ClassifyJob& job, const PmfSource& source, const Queue& queue);

struct ChunkResult {
  uint64_t words, tail, raw, escapes;  // as in layout.h
  uint32_t states[kMaxLanes];
};
// A chunk's parts lie at the same place in each of these rooms: words at the end, the others at the
// beginning.
struct EncodeJob {
  IntView symbols;
  const Prepared* prepared;
  uint64_t count, chunk_symbols;
  int lanes, precision;
  uint16_t* words;  // [chunks][chunk_symbols]
  uint32_t* raw;    // [chunks][raw_room], or null
  uint64_t raw_room;
  uint8_t* escapes;  // [chunks][escape_room], or null
  uint64_t escape_room;
  ChunkResult* results;  // [chunks]
};
// `tables` null: rows of probabilities, which have no side data.
void encode_chunks(const EncodeJob& job, const TableSource* tables, const Queue& queue);

// A chunk of a stream on the device.
struct DecodeRecord {
  uint64_t first_symbol, symbols, tail;
  uint64_t offset, words, raw, escapes;  // of the payload; numbers of words and of bytes
};
std::vector<DecodeRecord> decode_records(Bytes data, const Form& form, uint64_t count, uint64_t& lanes);

// What may be wrong with a chunk: at a symbol, by its position in the call; with a lane, or from a word on.
struct ChunkFault {
  enum Kind : uint32_t {
    kNone,
    kBadState,
    kWordsEnd,
    kWordsLeft,
    kEndState,
    kTailState,
    kTailWordsEnd,
    kTailEnd,
    kRawEnds,
    kRawLeft,
    kEscapesDamaged,
    kEscapeRange,
    kEscapesLeft,
    kBadIndex,
    kBadPmfs,
  };
  uint32_t kind;
  uint32_t detail;
  uint64_t symbol;
};
struct DecodeJob {
  const uint8_t* data;
  const DecodeRecord* chunks;
  uint64_t chunk_count;
  int lanes, precision;
  int32_t* symbols;
  ChunkFault* faults;  // [chunk_count]
};
void decode_chunks(const DecodeJob& job, const TableSource& source, const Queue& queue);
void decode_chunks(const DecodeJob& job, const PmfSource& source, const Queue& queue);

// Throws what the first fault means.
void check_faults(Bytes data, const Form& form, Span<const ChunkFault> faults);

}  // namespace pycodec::rans
