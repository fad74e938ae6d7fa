// The stream around the coded chunks: head, entries, checks. The format is at the top of rans.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/span.h"
#include "rans/rans.h"
#include "rans/raw_bits.h"

namespace pycodec::rans {

constexpr size_t kMaxLanes = 32;

// Which optional fields a stream has; follows from the tables, known to both sides.
struct Form {
  int precision;
  bool has_raw;
  bool has_escapes;
};

// What the encoder makes of one chunk.
struct ChunkParts {
  uint64_t index;
  uint64_t tail;
  Span<const uint32_t> states;
  Span<const uint16_t> words;
  const RawSink* raw;
  const uint8_t* raw_end;
  Bytes escapes;
};

// The bytes before the entries, and an entry with its payload.
std::vector<uint8_t> write_prefix(const Form& form, uint64_t lanes, uint64_t count, uint64_t chunk_symbols);
EncodedChunk write_chunk(const Form& form, Bytes prefix, const ChunkParts& parts);

// Sizes of a chunk's parts: numbers of words, tail symbols, raw bytes and escape bytes.
struct ChunkSizes {
  uint64_t words, tail, raw, escapes;
};

// A stream whose chunks' payloads lie one after the other.
std::vector<uint8_t> write_stream(const Form& form, uint64_t lanes, uint64_t count, uint64_t chunk_symbols,
                                  Span<const ChunkSizes> chunks, Bytes payloads);

// One chunk as it lies in the data.
struct ChunkView {
  uint64_t index = 0;
  uint64_t first_symbol = 0;
  uint64_t symbols = 0;
  uint64_t tail = 0;
  size_t offset = 0;  // of the payload in the data
  uint32_t crc = 0;
  Bytes entry;  // its varints
  Bytes states, words, raw, escapes;

  // Throws CorruptStream that names the chunk and a byte offset in the data.
  [[noreturn]] void fail(size_t at, const std::string& problem) const;
};

// A parsed stream; refers to the data. The constructor checks everything but the chunks' CRCs and contents.
class StreamView {
 public:
  StreamView(Bytes data, const Form& form);

  uint64_t count() const { return count_; }
  uint64_t lanes() const { return lanes_; }
  uint64_t chunk_symbols() const { return chunk_symbols_; }
  const std::vector<ChunkView>& chunks() const { return chunks_; }

  void check_crc(const ChunkView& chunk) const;

 private:
  Bytes prefix_;  // all bytes before the entries
  uint64_t count_ = 0;
  uint64_t lanes_ = 1;
  uint64_t chunk_symbols_ = 0;
  std::vector<ChunkView> chunks_;
};

}  // namespace pycodec::rans
