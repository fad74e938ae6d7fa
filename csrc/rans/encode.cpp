// The encoder, in two passes over a chunk: forward from symbols to packed classes and side data, then
// backward through the lanes. Two sources of tables share it: prepared tables, and a row of probabilities a
// symbol.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/thread_pool.h"
#include "rans/block_loops.h"
#include "rans/choices.h"
#include "rans/layout.h"
#include "rans/rans.h"

namespace pycodec::rans {
namespace {

constexpr size_t kBlock = 1024;
static_assert(kSampleBlock <= kBlock);

// Symbols with prepared tables.
class TableSource {
 public:
  TableSource(const IntArray& symbols, const Tables& tables, const IntArray& indexes, const BlockLoops& loops)
      : symbols_(symbols), tables_(tables), indexes_(indexes), loops_(loops) {}

  size_t count() const { return symbols_.size; }
  Form form() const { return {tables_.precision(), tables_.has_shifts(), tables_.has_escapes()}; }

  // The sum of costs of symbols [begin, begin + n), n <= kBlock; one without a class, an error later, costs
  // nothing.
  uint64_t cost(size_t begin, size_t n) const {
    std::array<int32_t, kBlock> symbols, indexes;
    symbols_.load(begin, n, symbols.data(), "symbols");
    indexes_.load_indexes(begin, n, tables_.size(), indexes.data());
    uint64_t sum = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t t = static_cast<size_t>(indexes[i]);
      const Tables::Coded coded = tables_.classify(t, symbols[i]);
      if (coded.cls != Tables::kNoClass) sum += tables_.cost(t, coded.cls);
    }
    return sum;
  }

  // Symbols [begin, begin + n) to packed classes, and to the side data of a chunk.
  void prepare(size_t begin, size_t n, uint32_t* packed, EncodedChunk& chunk) const {
    std::array<int32_t, kBlock> symbols, indexes;
    ByteWriter escapes;
    if (tables_.has_shifts()) chunk.raw.resize(n - n / 8 + 16);  // 7 bits each
    RawSink raw{chunk.raw.data()};
    for (size_t done = 0; done < n; done += kBlock) {
      const size_t m = std::min(kBlock, n - done);
      symbols_.load(begin + done, m, symbols.data(), "symbols");
      indexes_.load_indexes(begin + done, m, tables_.size(), indexes.data());
      for (size_t i = 0; i < m;) {
        i += loops_.classify(tables_, symbols.data() + i, indexes.data() + i, m - i, packed + done + i, &raw);
        // What the loop stops at is among the next symbols.
        for (const size_t end = std::min(m, i + 16); i < end; ++i) {
          const size_t table = static_cast<size_t>(indexes[i]);
          packed[done + i] = classify(symbols[i], table, begin + done + i, escapes);
          if (const int k = tables_.shift(table); k > 0) {
            raw.put(static_cast<uint32_t>(symbols[i]) & ((1u << k) - 1), k);
          }
        }
      }
    }
    if (tables_.has_shifts()) {
      chunk.raw.resize(static_cast<size_t>(raw.next - chunk.raw.data()) + (raw.count > 0 ? 1 : 0));
    }
    chunk.escapes = std::move(escapes.bytes());
  }

 private:
  uint32_t classify(int32_t symbol, size_t table, size_t position, ByteWriter& escapes) const {
    const Tables::Coded coded = tables_.classify(table, symbol);
    if (coded.cls == Tables::kNoClass) {
      throw InvalidArgument("symbols[" + std::to_string(position) + "] is " + std::to_string(symbol) +
                            ", which table " + std::to_string(table) +
                            " has no class for; clip the symbols or use tables with an escape");
    }
    if (tables_.is_escape(table, coded.cls)) escapes.varint(coded.escape_number);
    return tables_.packed(table, coded.cls);
  }

  const IntArray& symbols_;
  const Tables& tables_;
  const IntArray& indexes_;
  const BlockLoops& loops_;
};

// Symbols with a row of probabilities each.
class PmfSource {
 public:
  PmfSource(const IntArray& symbols, const Pmfs& pmfs, const BlockLoops& loops)
      : symbols_(symbols), pmfs_(pmfs), loops_(loops) {}

  size_t count() const { return symbols_.size; }
  Form form() const { return {kPmfPrecision, false, false}; }

  uint64_t cost(size_t begin, size_t n) const {
    std::array<uint32_t, kBlock> packed;
    pack(begin, n, packed.data());
    uint64_t sum = 0;
    for (size_t i = 0; i < n; ++i) sum += kPmfPrecision * 256 - log2_256(class_freq(packed[i]));
    return sum;
  }

  void prepare(size_t begin, size_t n, uint32_t* packed, EncodedChunk&) const {
    for (size_t done = 0; done < n; done += kBlock)
      pack(begin + done, std::min(kBlock, n - done), packed + done);
  }

 private:
  // n <= kBlock
  void pack(size_t begin, size_t n, uint32_t* packed) const {
    std::array<int32_t, kBlock> symbols;
    symbols_.load(begin, n, symbols.data(), "symbols");
    for (size_t i = 0; i < n;) {
      i += loops_.classify_pmfs(pmfs_, begin + i, symbols.data() + i, n - i, packed + i);
      // What the loop stops at is among the next symbols.
      for (const size_t end = std::min(n, i + 16); i < end; ++i) packed[i] = classify(symbols[i], begin + i);
    }
  }

  uint32_t classify(int32_t symbol, size_t position) const {
    if (symbol < 0 || static_cast<size_t>(symbol) >= pmfs_.classes) {
      throw InvalidArgument("symbols[" + std::to_string(position) + "] is " + std::to_string(symbol) +
                            "; expected 0 to " + std::to_string(pmfs_.classes - 1) + ", pmfs having " +
                            std::to_string(pmfs_.classes) + " classes");
    }
    std::array<uint16_t, kMaxPmfClasses + 1> starts;
    pmfs_.row_starts(position, starts.data());
    const uint32_t start = starts[static_cast<size_t>(symbol)];
    return pack_class(start, starts[static_cast<size_t>(symbol) + 1] - start);
  }

  const IntArray& symbols_;
  const Pmfs& pmfs_;
  const BlockLoops& loops_;
};

template <class Source>
Choices make_choices(const Source& source) {
  const uint64_t count = source.count();
  uint64_t cost = 0, sampled = 0;
  const uint64_t block = count <= kSampleAll ? kBlock : kSampleBlock;
  const uint64_t stride = count <= kSampleAll ? kBlock : kSampleStride;
  for (uint64_t begin = 0; begin < count; begin += stride) {
    const uint64_t n = std::min(block, count - begin);
    cost += source.cost(static_cast<size_t>(begin), static_cast<size_t>(n));
    sampled += n;
  }
  return choose(cost, sampled, count);
}

// The symbols from the end whose words fit in the lanes' start states; sets those states and returns how
// many.
size_t encode_tail(const uint32_t* packed, size_t n, size_t lanes, int precision, uint32_t* states) {
  std::array<uint32_t, kMaxLanes> words;
  const size_t room = lanes - 2;
  size_t used = 0, first = n;
  uint32_t x = kLowerBound;
  for (; first > 0; --first) {
    const uint32_t p = packed[first - 1];
    if (step_emits(x, class_freq(p), precision)) {
      if (used == room) break;
      words[used++] = x & 0xffff;
      x >>= 16;
    }
    x = step_encode(x, p, precision);
  }
  states[0] = kLowerBound | x >> 16;
  states[1] = kLowerBound | (x & 0xffff);
  for (size_t w = 0; w < room; ++w) states[2 + w] = kLowerBound | (w < used ? words[used - 1 - w] : 0);
  return n - first;
}

// Symbols [first, n) backward through L lanes, words going down from `end`. Returns the first word.
template <size_t L>
uint16_t* encode_lanes(const uint32_t* packed, size_t first, size_t n, int precision, uint32_t* states,
                       uint16_t* end) {
  for (size_t i = n; i > first;) {
    --i;
    uint32_t x = states[i % L];
    const bool emits = step_emits(x, class_freq(packed[i]), precision);
    end[-1] = static_cast<uint16_t>(x);  // without a branch: overwritten unless it counts
    end -= emits;
    x = emits ? x >> 16 : x;
    states[i % L] = step_encode(x, packed[i], precision);
  }
  return end;
}

uint16_t* encode_32_lanes(const uint32_t* packed, size_t n, int precision, uint32_t* states, uint16_t* end,
                          const BlockLoops& loops) {
  size_t whole = n / 32 * 32;
  end = encode_lanes<32>(packed, whole, n, precision, states, end);
  whole -= loops.encode(packed, whole, precision, states, &end);
  return encode_lanes<32>(packed, 0, whole, precision, states, end);
}

template <class Source>
EncodedChunk encode_chunk(const Source& source, size_t begin, size_t n, size_t lanes,
                          const BlockLoops& loops) {
  const int precision = source.form().precision;
  EncodedChunk chunk;
  const std::unique_ptr<uint32_t[]> room(new uint32_t[n]);
  uint32_t* packed = room.get();
  source.prepare(begin, n, packed, chunk);
  chunk.states.assign(lanes, kLowerBound);
  uint32_t* states = chunk.states.data();
  if (lanes > 1) chunk.tail = encode_tail(packed, n, lanes, precision, states);
  const size_t m = n - static_cast<size_t>(chunk.tail);
  chunk.word_room.reset(new uint16_t[m + 1]);  // at most one a symbol, and one that does not count
  uint16_t* end = chunk.word_room.get() + m + 1;
  uint16_t* words = lanes == 1   ? encode_lanes<1>(packed, 0, m, precision, states, end)
                    : lanes == 4 ? encode_lanes<4>(packed, 0, m, precision, states, end)
                    : lanes == 8 ? encode_lanes<8>(packed, 0, m, precision, states, end)
                                 : encode_32_lanes(packed, m, precision, states, end, loops);
  chunk.words = {words, static_cast<size_t>(end - words)};
  return chunk;
}

template <class Source>
std::vector<uint8_t> encode_stream(const Source& source, Options options) {
  const size_t count = source.count();
  if (count == 0) return write_stream(source.form(), 1, 0, 0, {});
  const Choices choices = make_choices(source);
  std::vector<EncodedChunk> chunks(static_cast<size_t>(ceil_div(count, choices.chunk_symbols)));
  const BlockLoops& loops = block_loops(options.simd);
  parallel_for(chunks.size(), options.threads, [&](size_t c) {
    const size_t begin = c * static_cast<size_t>(choices.chunk_symbols);
    const size_t n = std::min(static_cast<size_t>(choices.chunk_symbols), count - begin);
    chunks[c] = encode_chunk(source, begin, n, static_cast<size_t>(choices.lanes), loops);
  });
  return write_stream(source.form(), choices.lanes, count, choices.chunk_symbols, chunks);
}

}  // namespace

std::vector<uint8_t> encode(const IntArray& symbols, const Tables& tables, const IntArray& indexes,
                            Options options) {
  return encode_stream(TableSource(symbols, tables, indexes, block_loops(options.simd)), options);
}

std::vector<uint8_t> encode(const IntArray& symbols, const Pmfs& pmfs, Options options) {
  return encode_stream(PmfSource(symbols, pmfs, block_loops(options.simd)), options);
}

}  // namespace pycodec::rans
