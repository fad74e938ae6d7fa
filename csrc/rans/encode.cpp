// The encoder: every chunk from its last symbol to its first, classes, side data and lanes in one go. Two
// sources of tables share it: prepared tables, and a row of probabilities a symbol.
#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/kept_memory.h"
#include "base/thread_pool.h"
#include "rans/block_loops.h"
#include "rans/choices.h"
#include "rans/each.h"
#include "rans/layout.h"
#include "rans/rans.h"
#include "rans/tandem.h"

namespace pycodec::rans {
namespace {

constexpr size_t kBlock = 256;
static_assert(kSampleBlock <= kBlock);

// What one symbol is coded as.
struct Code {
  uint32_t packed;
  uint32_t low = 0;  // its raw bits
  int shift = 0;     // and how many
  bool escapes = false;
  uint64_t escape_number = 0;
};

// What classes without raw bits take, in 1/256 bit.
uint64_t cost_of(const uint32_t* packed, size_t n, int precision) {
  static const std::vector<uint16_t> logarithms = [] {
    std::vector<uint16_t> all((1u << kMaxPrecision) + 1);
    for (uint32_t f = 1; f < all.size(); ++f) all[f] = static_cast<uint16_t>(log2_256(f));
    return all;
  }();
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += logarithms[class_freq(packed[i])];
  return n * 256 * static_cast<uint64_t>(precision) - sum;
}

// Symbols with prepared tables.
class TableSource {
 public:
  TableSource(const IntArray& symbols, const Tables& tables, const IntArray& indexes, const BlockLoops& loops)
      : symbols_(&symbols), tables_(&tables), indexes_(&indexes), loops_(&loops) {}

  size_t count() const { return symbols_->size; }
  Form form() const { return {tables_->precision(), tables_->has_shifts(), tables_->has_escapes()}; }

  // A block of at most kBlock symbols from `begin` in the arrays on.
  void load(size_t begin, size_t n) {
    begin_ = begin;
    symbols_->load(begin, n, symbol_.data(), "symbols");
    indexes_->load_indexes(begin, n, tables_->size(), index_.data());
  }

  // Symbol i of the block.
  INLINE Code code(size_t i) const {
    const size_t table = static_cast<size_t>(index_[i]);
    const Tables::Coded coded = tables_->classify(table, symbol_[i]);
    if (coded.cls == Tables::kNoClass) refuse(i);
    const int shift = tables_->shift(table);
    return {tables_->packed(table, coded.cls), static_cast<uint32_t>(symbol_[i]) & ((1u << shift) - 1), shift,
            tables_->is_escape(table, coded.cls), coded.escape_number};
  }

  [[noreturn]] void refuse(size_t i) const {
    throw InvalidArgument("symbols[" + std::to_string(begin_ + i) + "] is " + std::to_string(symbol_[i]) +
                          ", which table " + std::to_string(index_[i]) +
                          " has no class for; clip the symbols or use tables with an escape");
  }

  // The sum of costs of a block; a symbol without a class, an error later, costs nothing.
  uint64_t cost(size_t begin, size_t n) {
    std::array<uint32_t, kBlock> packed;
    std::array<uint8_t, kBlock + 8> bits;
    RawSink raw{bits.data() + bits.size()};
    const size_t rounds =
        loops_->classify(*tables_, *symbols_, *indexes_, begin, n / kRound, packed.data(), &raw);
    const size_t raw_bits = static_cast<size_t>(8 * (bits.data() + bits.size() - raw.next) + raw.count);
    uint64_t sum = 256 * raw_bits + cost_of(packed.data(), rounds * kRound, tables_->precision());
    if (rounds * kRound == n) return sum;
    load(begin, n);
    for (size_t i = rounds * kRound; i < n; ++i) {
      const size_t table = static_cast<size_t>(index_[i]);
      const Tables::Coded coded = tables_->classify(table, symbol_[i]);
      if (coded.cls != Tables::kNoClass) sum += tables_->cost(table, coded.cls);
    }
    return sum;
  }

  void prefetch(size_t begin, size_t n) const {
    symbols_->prefetch(begin, n);
    if (indexes_->size > 0) indexes_->prefetch(begin, n);
  }

  void encode_rounds(EncodingLanes* chunks, size_t count, size_t rounds) const {
    loops_->encode(*tables_, *symbols_, *indexes_, chunks, count, rounds);
  }

 private:
  const IntArray* symbols_;
  const Tables* tables_;
  const IntArray* indexes_;
  const BlockLoops* loops_;
  size_t begin_ = 0;
  std::array<int32_t, kBlock> symbol_, index_;
};

// Symbols with a row of probabilities each.
class PmfSource {
 public:
  PmfSource(const IntArray& symbols, const Pmfs& pmfs, const BlockLoops& loops)
      : symbols_(&symbols), pmfs_(&pmfs), loops_(&loops) {}

  size_t count() const { return symbols_->size; }
  Form form() const { return {kPmfPrecision, false, false}; }

  void load(size_t begin, size_t n) {
    begin_ = begin;
    symbols_->load(begin, n, symbol_.data(), "symbols");
  }

  Code code(size_t i) const {
    const size_t classes = pmfs_->classes;
    if (symbol_[i] < 0 || static_cast<size_t>(symbol_[i]) >= classes) {
      throw InvalidArgument("symbols[" + std::to_string(begin_ + i) + "] is " + std::to_string(symbol_[i]) +
                            "; expected 0 to " + std::to_string(classes - 1) + ", pmfs having " +
                            std::to_string(classes) + " classes");
    }
    std::array<uint16_t, kMaxPmfClasses + 1> starts;
    pmfs_->row_starts(begin_ + i, starts.data());
    const size_t cls = static_cast<size_t>(symbol_[i]);
    return {pack_class(starts[cls], static_cast<uint32_t>(starts[cls + 1] - starts[cls]))};
  }

  uint64_t cost(size_t begin, size_t n) {
    std::array<uint32_t, kBlock> packed;
    const size_t rounds = loops_->classify_pmfs(*pmfs_, *symbols_, begin, n / kRound, packed.data());
    if (rounds * kRound < n) load(begin, n);
    for (size_t i = rounds * kRound; i < n; ++i) packed[i] = code(i).packed;
    return cost_of(packed.data(), n, kPmfPrecision);
  }

  void prefetch(size_t begin, size_t n) const {
    symbols_->prefetch(begin, n);
    pmfs_->prefetch(begin, n);
  }

  void encode_rounds(EncodingLanes* chunks, size_t count, size_t rounds) const {
    loops_->encode_pmfs(*pmfs_, *symbols_, chunks, count, rounds);
  }

 private:
  const IntArray* symbols_;
  const Pmfs* pmfs_;
  const BlockLoops* loops_;
  size_t begin_ = 0;
  std::array<int32_t, kBlock> symbol_;
};

constexpr uint64_t kBlocksPerThread = 64;  // to be worth another thread

template <class Source>
Choices make_choices(const Source& source, size_t threads) {
  const uint64_t count = source.count();
  const bool all = count <= kSampleAll;
  const uint64_t block = all ? kBlock : kSampleBlock, stride = all ? kBlock : kSampleStride;
  const uint64_t blocks = ceil_div(count, stride);
  const size_t parts = std::min(threads, static_cast<size_t>(ceil_div(blocks, kBlocksPerThread)));
  std::vector<uint64_t> costs(parts);
  parallel_for(parts, threads, [&](size_t part) {
    Source mine = source;
    uint64_t cost = 0;
    for (uint64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
      const uint64_t begin = b * stride;
      // Blocks lie so far apart that each would wait for memory.
      const uint64_t ahead = begin + 8 * stride;
      if (ahead + block <= count) mine.prefetch(static_cast<size_t>(ahead), static_cast<size_t>(block));
      cost += mine.cost(static_cast<size_t>(begin), static_cast<size_t>(std::min(block, count - begin)));
    }
    costs[part] = cost;
  });
  const uint64_t sampled = (blocks - 1) * block + std::min(block, count - (blocks - 1) * stride);
  return choose(std::accumulate(costs.begin(), costs.end(), uint64_t{0}), sampled, count);
}

// One chunk, from its last symbol to its first: symbols [begin, begin + left()) are still to be coded.
class ChunkEncoder {
 public:
  // What n symbols may take: at most one word each, and 7 raw bits.
  static size_t words_for(size_t n) { return n + kRound; }
  static size_t raw_bytes_for(size_t n) { return n - n / 8 + 8; }

  // Writes into the memory that it is given, of these sizes; the second only if there are raw bits.
  ChunkEncoder(const Form& form, uint64_t index, size_t begin, size_t n, size_t lanes, uint16_t* words,
               uint8_t* raw)
      : form_(form),
        index_(index),
        begin_(begin),
        left_(n),
        lanes_(lanes),
        words_(words + words_for(n)),
        words_end_(words_) {
    states_.fill(kLowerBound);
    if (!form.has_raw) return;
    raw_end_ = raw + raw_bytes_for(n);
    raw_.next = raw_end_;
  }

  size_t left() const { return left_; }

  // The symbols from the end whose words fit in the lanes' start states. First of all.
  template <class Source>
  void encode_tail(Source& source) {
    if (lanes_ == 1) return;
    std::array<uint32_t, kMaxLanes> words;
    const size_t room = lanes_ - 2;
    size_t used = 0, loaded = 0;
    uint32_t x = kLowerBound;
    for (; left_ > 0; --left_, ++tail_) {
      if (loaded == 0) loaded = load_last(source, kBlock);
      const Code code = source.code(--loaded);
      if (step_emits(x, class_freq(code.packed), form_.precision)) {
        if (used == room) break;
        words[used++] = x & 0xffff;
        x >>= 16;
      }
      x = step_encode(x, code.packed, form_.precision);
      put_side(code);
    }
    states_[0] |= x >> 16;
    states_[1] |= x & 0xffff;
    for (size_t w = 0; w < used; ++w) states_[2 + w] |= words[used - 1 - w];
  }

  // The next n symbols or fewer, one by one.
  template <class Source>
  void encode(Source& source, size_t n) {
    n = load_last(source, std::min(n, kBlock));
    switch (lanes_) {
      case 1:
        return encode_lanes<1>(source, n);
      case 4:
        return encode_lanes<4>(source, n);
      case 8:
        return encode_lanes<8>(source, n);
      default:
        return encode_lanes<32>(source, n);
    }
  }

  // For the block loops: whole rounds that are next, and the lanes before and after them.
  size_t rounds() const { return lanes_ == kRound && left_ % kRound == 0 ? left_ / kRound : 0; }
  EncodingLanes lanes() { return {begin_ + left_, states_.data(), words_, &raw_}; }
  void move_to(const EncodingLanes& lanes) {
    left_ = lanes.end - begin_;
    words_ = lanes.words;
  }

  EncodedChunk finish(Bytes prefix) const {
    const Span<const uint16_t> words(words_, static_cast<size_t>(words_end_ - words_));
    ByteWriter escapes;
    for (auto number = escapes_.rbegin(); number != escapes_.rend(); ++number) escapes.varint(*number);
    return write_chunk(form_, prefix,
                       {index_, tail_, {states_.data(), lanes_}, words, &raw_, raw_end_, escapes.bytes()});
  }

 private:
  template <class Source>
  size_t load_last(Source& source, size_t n) const {
    n = std::min(n, left_);
    source.load(begin_ + left_ - n, n);
    return n;
  }

  void put_side(const Code& code) {
    if (code.escapes) escapes_.push_back(code.escape_number);
    if (code.shift > 0) raw_.put(code.low, code.shift);
  }

  template <size_t L, class Source>
  void encode_lanes(const Source& source, size_t n) {
    const int precision = form_.precision;
    uint16_t* words = words_;
    left_ -= n;
    const size_t first_lane = left_ % L;
    for (size_t i = n; i > 0; --i) {
      const Code code = source.code(i - 1);
      uint32_t& state = states_[(first_lane + i - 1) % L];
      // Arithmetic, for compilers make branches of choices; the word is overwritten unless it counts.
      const uint32_t emits = step_emits(state, class_freq(code.packed), precision);
      words[-1] = static_cast<uint16_t>(state);
      words -= emits;
      state = step_encode(state >> 16 * emits, code.packed, precision);
      put_side(code);
    }
    words_ = words;
  }

  Form form_;
  uint64_t index_;
  size_t begin_, left_, lanes_;
  uint64_t tail_ = 0;
  std::array<uint32_t, kMaxLanes> states_;
  uint16_t *words_, *words_end_;  // they go down
  uint8_t* raw_end_ = nullptr;
  RawSink raw_{nullptr};
  std::vector<uint64_t> escapes_;  // from the last
};

// All symbols of one chunk or of two in tandem.
template <class Source>
void encode_all(Source& source, ChunkEncoder* chunks, size_t count) {
  for (size_t k = 0; k < count; ++k) {
    chunks[k].encode_tail(source);
    if (chunks[k].left() % kRound != 0) chunks[k].encode(source, chunks[k].left() % kRound);
  }
  // At most `rounds` rounds by the block loops; says whether there were any.
  const auto loop = [&source](ChunkEncoder* first, size_t n, size_t rounds) {
    std::array<EncodingLanes, kTandem> lanes;
    for (size_t k = 0; k < n; ++k) {
      rounds = std::min(rounds, first[k].rounds());
      lanes[k] = first[k].lanes();
    }
    if (rounds > 0) source.encode_rounds(lanes.data(), n, rounds);
    bool moved = false;
    for (size_t k = 0; k < n; ++k) {
      moved = moved || lanes[k].end != first[k].lanes().end;
      first[k].move_to(lanes[k]);
    }
    return moved;
  };
  for (bool any = true; any;) {
    any = false;
    const bool smooth = loop(chunks, count, SIZE_MAX);
    for (size_t k = 0; k < count; ++k) {
      // Whatever the loops stopped at is the next round of one of the chunks.
      if (chunks[k].left() > 0 && !loop(chunks + k, 1, count == 1 ? 0 : 1)) {
        chunks[k].encode(source, smooth ? kRound : kBlock);
      }
      any = any || chunks[k].left() > 0;
    }
  }
}

template <class Source>
EncodedStream encode_stream(const Source& source, Options options) {
  const size_t count = source.count();
  EncodedStream stream;
  if (count == 0) {
    stream.prefix = write_prefix(source.form(), 1, 0, 0);
    return stream;
  }
  const Choices choices = make_choices(source, options.threads);
  const size_t lanes = static_cast<size_t>(choices.lanes), size = static_cast<size_t>(choices.chunk_symbols);
  stream.prefix = write_prefix(source.form(), lanes, count, size);
  stream.chunks.resize(static_cast<size_t>(ceil_div(count, size)));
  // Not more than two: they have much memory each, which is to stay in cache.
  in_tandem(stream.chunks.size(), options.threads, 2, [&](size_t first, size_t n) {
    Source mine = source;
    const size_t most = std::min(size, count);
    const size_t words_each = ChunkEncoder::words_for(most), raw_each = ChunkEncoder::raw_bytes_for(most);
    const Kept<uint16_t> words(n * words_each);
    const Kept<uint8_t> raw(source.form().has_raw ? n * raw_each : 0);
    std::vector<ChunkEncoder> chunks;
    for (size_t k = 0; k < n; ++k) {
      const size_t c = first + k;
      chunks.emplace_back(source.form(), c, c * size, std::min(size, count - c * size), lanes,
                          words.data() + k * words_each, raw.data() + k * raw_each);
    }
    encode_all(mine, chunks.data(), n);
    for (size_t k = 0; k < n; ++k) stream.chunks[first + k] = chunks[k].finish(stream.prefix);
  });
  return stream;
}

}  // namespace

EncodedStream encode(const IntArray& symbols, const Tables& tables, const IntArray& indexes,
                     Options options) {
  return encode_stream(TableSource(symbols, tables, indexes, block_loops(options.simd)), options);
}

EncodedStream encode(const IntArray& symbols, const Pmfs& pmfs, Options options) {
  return encode_stream(PmfSource(symbols, pmfs, block_loops(options.simd)), options);
}

}  // namespace pycodec::rans
