#include "rans/layout.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/crc32.h"
#include "base/thread_pool.h"
#include "rans/step.h"

namespace pycodec::rans {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint64_t kLanes[4] = {1, 4, 8, 32};
// Counts and sizes beyond this are damage; below it no sum of them overflows.
constexpr uint64_t kMaxSize = uint64_t{1} << 48;

uint32_t crc_before_payload(Bytes prefix, uint64_t chunk, Bytes entry) {
  uint8_t number[4];
  store_u32(number, static_cast<uint32_t>(chunk));
  return crc32(entry, crc32(Bytes(number, 4), crc32(prefix)));
}

}  // namespace

std::vector<uint8_t> write_prefix(const Form& form, uint64_t lanes, uint64_t count, uint64_t chunk_symbols) {
  uint8_t lanes_code = 0;
  while (kLanes[lanes_code] != lanes) ++lanes_code;
  ByteWriter out;
  out.u8(static_cast<uint8_t>(lanes_code | (form.precision - kMinPrecision) << 2 | kVersion << 5));
  out.varint(count);
  if (lanes == kMaxLanes) out.varint(chunk_symbols);
  return std::move(out.bytes());
}

EncodedChunk write_chunk(const Form& form, Bytes prefix, const ChunkParts& parts) {
  const size_t raw_size = form.has_raw ? parts.raw->size(parts.raw_end) : 0;
  ByteWriter entry;
  entry.varint(parts.words.size());
  if (parts.states.size() > 1) entry.varint(parts.tail);
  if (form.has_raw) entry.varint(raw_size);
  if (form.has_escapes) entry.varint(parts.escapes.size());

  EncodedChunk chunk;
  chunk.size = 4 * parts.states.size() + 2 * parts.words.size() + raw_size + parts.escapes.size();
  chunk.payload.reset(new uint8_t[chunk.size]);
  uint8_t* p = chunk.payload.get();
  for (uint32_t state : parts.states) {
    store_u32(p, state);
    p += 4;
  }
  for (uint16_t word : parts.words) {
    store_u16(p, word);
    p += 2;
  }
  if (raw_size > 0) parts.raw->copy_to(p, parts.raw_end);
  std::copy(parts.escapes.begin(), parts.escapes.end(), p + raw_size);
  const Bytes payload(chunk.payload.get(), chunk.size);
  entry.u32(crc32(payload, crc_before_payload(prefix, parts.index, entry.bytes())));
  chunk.entry = std::move(entry.bytes());
  return chunk;
}

std::vector<uint8_t> write_stream(const Form& form, uint64_t lanes, uint64_t count, uint64_t chunk_symbols,
                                  Span<const ChunkSizes> chunks, Bytes payloads) {
  const std::vector<uint8_t> prefix = write_prefix(form, lanes, count, chunk_symbols);
  ByteWriter out;
  out.append(prefix);
  size_t begin = 0;
  for (size_t c = 0; c < chunks.size(); ++c) {
    const ChunkSizes& chunk = chunks[c];
    ByteWriter entry;
    entry.varint(chunk.words);
    if (lanes > 1) entry.varint(chunk.tail);
    if (form.has_raw) entry.varint(chunk.raw);
    if (form.has_escapes) entry.varint(chunk.escapes);
    const Bytes payload = payloads.sub(begin, 4 * lanes + 2 * chunk.words + chunk.raw + chunk.escapes);
    begin += payload.size();
    out.append(entry.bytes());
    out.u32(crc32(payload, crc_before_payload(prefix, c, entry.bytes())));
  }
  out.append(payloads);
  return std::move(out.bytes());
}

size_t EncodedStream::size() const {
  size_t size = prefix.size();
  for (const EncodedChunk& chunk : chunks) size += chunk.entry.size() + chunk.size;
  return size;
}

void EncodedStream::copy_to(uint8_t* out, size_t threads) const {
  out = std::copy(prefix.begin(), prefix.end(), out);
  for (const EncodedChunk& chunk : chunks) out = std::copy(chunk.entry.begin(), chunk.entry.end(), out);
  std::vector<uint8_t*> payloads;
  for (const EncodedChunk& chunk : chunks) {
    payloads.push_back(out);
    out += chunk.size;
  }
  constexpr size_t kWorthAThread = size_t{1} << 18;  // bytes; fewer are copied before another thread wakes up
  parallel_for(chunks.size(), std::min(threads, 1 + size() / kWorthAThread),
               [&](size_t c) { std::copy_n(chunks[c].payload.get(), chunks[c].size, payloads[c]); });
}

void ChunkView::fail(size_t at, const std::string& problem) const {
  throw CorruptStream("chunk " + std::to_string(index) + ", byte " + std::to_string(at) + ": " + problem);
}

StreamView::StreamView(Bytes data, const Form& form) {
  ByteReader in(data);
  const uint8_t head = in.u8("the head of the stream");
  if (head >> 5 != kVersion) {
    throw CorruptStream("byte 0: version " + std::to_string(head >> 5) + " of the coded stream; expected " +
                        std::to_string(kVersion));
  }
  if ((head >> 2 & 7) + kMinPrecision != form.precision) {
    throw CorruptStream("byte 0: the stream was written with " +
                        std::to_string((head >> 2 & 7) + kMinPrecision) + "-bit tables, these have " +
                        std::to_string(form.precision) + " bits");
  }
  lanes_ = kLanes[head & 3];
  count_ = in.varint("the number of symbols");
  if (count_ > kMaxSize) in.fail("the number of symbols is beyond 2^48");
  if (count_ == 0) {
    if (lanes_ != 1) in.fail("an empty stream with lanes");
    if (in.remaining() != 0) in.fail("data after an empty stream");
    return;
  }
  chunk_symbols_ = count_;
  if (lanes_ == kMaxLanes) {
    chunk_symbols_ = in.varint("the number of symbols in a chunk");
    if (chunk_symbols_ == 0 || chunk_symbols_ % kMaxLanes != 0 || chunk_symbols_ > kMaxSize) {
      in.fail(std::to_string(chunk_symbols_) + " symbols in a chunk; expected a multiple of 32");
    }
  }
  prefix_ = Bytes(data.data(), in.offset());

  const uint64_t chunk_count = ceil_div(count_, chunk_symbols_);
  const uint64_t smallest_entry = 5 + (lanes_ > 1) + form.has_raw + form.has_escapes;
  if (chunk_count > in.remaining() / smallest_entry)
    in.fail("the data ends inside the entries of the chunks");
  chunks_.resize(static_cast<size_t>(chunk_count));
  struct Sizes {
    uint64_t words, raw, escapes;
  };
  std::vector<Sizes> sizes(chunks_.size());
  for (size_t c = 0; c < chunks_.size(); ++c) {
    ChunkView& chunk = chunks_[c];
    chunk.index = c;
    chunk.first_symbol = c * chunk_symbols_;
    chunk.symbols = std::min(chunk_symbols_, count_ - chunk.first_symbol);
    const size_t begin = in.offset();
    sizes[c].words = in.varint("the number of words of a chunk");
    if (lanes_ > 1) chunk.tail = in.varint("the number of tail symbols of a chunk");
    sizes[c].raw = form.has_raw ? in.varint("the size of raw bits of a chunk") : 0;
    sizes[c].escapes = form.has_escapes ? in.varint("the size of escapes of a chunk") : 0;
    chunk.entry = Bytes(data.data() + begin, in.offset() - begin);
    chunk.crc = in.u32("the checksum of a chunk");
    if (sizes[c].words > kMaxSize) chunk.fail(begin, "more than 2^48 words");
    if (chunk.tail > chunk.symbols) {
      chunk.fail(begin, "a tail of " + std::to_string(chunk.tail) + " symbols in a chunk of " +
                            std::to_string(chunk.symbols));
    }
  }
  for (size_t c = 0; c < chunks_.size(); ++c) {
    ChunkView& chunk = chunks_[c];
    chunk.offset = in.offset();
    const auto take = [&](uint64_t size, const char* what) {
      if (size > in.remaining()) chunk.fail(in.offset(), std::string("the data ends inside its ") + what);
      return in.take(size, what);
    };
    chunk.states = take(4 * lanes_, "states");
    chunk.words = take(2 * sizes[c].words, "words");
    chunk.raw = take(sizes[c].raw, "raw bits");
    chunk.escapes = take(sizes[c].escapes, "escapes");
  }
  if (in.remaining() != 0) in.fail(std::to_string(in.remaining()) + " bytes after the last chunk");
}

void StreamView::check_crc(const ChunkView& chunk) const {
  const Bytes payload(chunk.states.data(),
                      chunk.states.size() + chunk.words.size() + chunk.raw.size() + chunk.escapes.size());
  if (crc32(payload, crc_before_payload(prefix_, chunk.index, chunk.entry)) != chunk.crc) {
    chunk.fail(chunk.offset, "its checksum does not match: the data is damaged");
  }
}

}  // namespace pycodec::rans
