// The decoder: classes from the lanes, block by block, then values from classes and side data. Resumable
// after every symbol, so that bulk and step decoding are one piece of code. It believes nothing the data
// says: see the checks.
#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/thread_pool.h"
#include "rans/block_loops.h"
#include "rans/layout.h"
#include "rans/rans.h"

namespace pycodec::rans {
namespace {

constexpr size_t kBlock = 1024;

constexpr char kWrongTables[] = "; the data is damaged, or was written with other tables";

// The tables of a block of symbols, by prepared tables.
class TableSource {
 public:
  TableSource(const Tables& tables, const IntArray& indexes, const BlockLoops& loops)
      : tables_(&tables), indexes_(&indexes), loops_(&loops) {}

  int precision() const { return tables_->precision(); }
  Form form() const { return {tables_->precision(), tables_->has_shifts(), tables_->has_escapes()}; }
  const Tables* tables() const { return tables_; }

  // Block of at most kBlock symbols from `begin` in the arrays on.
  void load(size_t begin, size_t n) { indexes_->load_indexes(begin, n, tables_->size(), block_.data()); }
  size_t table(size_t i) const { return static_cast<size_t>(block_[i]); }
  const int32_t* indexes() const { return block_.data(); }
  const BlockLoops& loops() const { return *loops_; }

  // Symbol i of the block: its class and that packed.
  uint32_t find(size_t i, uint32_t slot, uint32_t& packed) {
    const uint32_t cls = tables_->find(table(i), slot);
    packed = tables_->packed(table(i), cls);
    return cls;
  }

  // Rounds of 32 lanes from symbol i of the block on: see BlockLoops.
  size_t decode(size_t i, size_t n, uint32_t* states, Words* words, uint16_t* classes) {
    return loops_->decode(*tables_, block_.data() + i, n, states, words, classes);
  }

 private:
  const Tables* tables_;
  const IntArray* indexes_;
  const BlockLoops* loops_;
  std::array<int32_t, kBlock> block_;
};

// The same by rows of probabilities.
class PmfSource {
 public:
  PmfSource(const Pmfs& pmfs, const BlockLoops& loops) : pmfs_(&pmfs), loops_(&loops) {}

  int precision() const { return kPmfPrecision; }
  Form form() const { return {kPmfPrecision, false, false}; }
  const Tables* tables() const { return nullptr; }
  void load(size_t begin, size_t) { begin_ = begin; }
  size_t decode(size_t i, size_t n, uint32_t* states, Words* words, uint16_t* classes) {
    return loops_->decode_pmfs(*pmfs_, begin_ + i, n, states, words, classes);
  }

  uint32_t find(size_t i, uint32_t slot, uint32_t& packed) {
    pmfs_->row_starts(begin_ + i, starts_.data());
    uint32_t cls = 0;
    while (starts_[cls + 1] <= slot) ++cls;
    packed = pack_class(starts_[cls], starts_[cls + 1] - starts_[cls]);
    return cls;
  }

 private:
  const Pmfs* pmfs_;
  const BlockLoops* loops_;
  size_t begin_ = 0;
  std::array<uint16_t, kMaxPmfClasses + 1> starts_;
};

// One chunk, symbol after symbol.
class ChunkDecoder {
 public:
  ChunkDecoder(const ChunkView& view, size_t lanes)
      : view_(view),
        lanes_(lanes),
        lane_symbols_(view.symbols - view.tail),
        raw_{view.raw},
        escapes_(view.escapes, offset_of(view.escapes), "chunk " + std::to_string(view.index) + ", ") {
    for (size_t l = 0; l < lanes; ++l) {
      states_[l] = load_u32(view.states.data() + 4 * l);
      if (states_[l] < kLowerBound) {
        view.fail(view.offset + 4 * l, "the state of lane " + std::to_string(l) + " is below 2^16");
      }
    }
    if (lane_symbols_ == 0) end_lanes();
  }

  uint64_t remaining() const { return view_.symbols - done_; }

  // The next n <= min(kBlock, remaining()) symbols, which source has loaded.
  template <class Source>
  void decode(Source& source, size_t n, int32_t* out) {
    std::array<uint16_t, kBlock> classes;
    const size_t on_lanes =
        static_cast<size_t>(std::min<uint64_t>(n, lane_symbols_ - std::min(lane_symbols_, done_)));
    if (on_lanes > 0) {
      switch (lanes_) {
        case 1:
          decode_lanes<1>(source, on_lanes, classes.data());
          break;
        case 4:
          decode_lanes<4>(source, on_lanes, classes.data());
          break;
        case 8:
          decode_lanes<8>(source, on_lanes, classes.data());
          break;
        default:
          decode_lanes<32>(source, on_lanes, classes.data());
      }
      if (done_ == lane_symbols_) end_lanes();
    }
    for (size_t i = on_lanes; i < n; ++i) {
      classes[i] = static_cast<uint16_t>(decode_tail_symbol(source, i));
      ++done_;
    }
    to_values(source, classes.data(), n, out);
    if (remaining() == 0) end_chunk();
  }

 private:
  size_t offset_of(Bytes part) const {
    return view_.offset + static_cast<size_t>(part.data() - view_.states.data());
  }
  size_t words_left() const { return view_.words.size() / 2 - word_; }

  template <size_t L, class Source>
  void decode_lanes(Source& source, size_t n, uint16_t* classes) {
    const int precision = source.precision();
    const uint32_t mask = (1u << precision) - 1;
    size_t lane = static_cast<size_t>(done_ % L);
    size_t i = 0;
    while (i < n) {
      if (L == kMaxLanes && lane == 0) {
        const uint8_t* words = view_.words.data();
        Words left{words + 2 * word_, words + view_.words.size()};
        i += source.decode(i, n - i, states_.data(), &left, classes + i);
        word_ = static_cast<size_t>(left.next - words) / 2;
        if (i == n) break;
      }
      if (lane == 0 && n - i >= L && words_left() >= L) {
        // A whole round: one check of bounds, then reads without branches.
        const uint8_t* p = view_.words.data() + 2 * word_;
        for (size_t l = 0; l < L; ++l) {
          uint32_t x = states_[l], packed;
          classes[i + l] = static_cast<uint16_t>(source.find(i + l, x & mask, packed));
          x = step_decode(x, packed, precision);
          const uint32_t refilled = x << 16 | load_u16(p);
          const bool refill = x < kLowerBound;
          states_[l] = refill ? refilled : x;
          p += refill ? 2 : 0;
        }
        word_ = static_cast<size_t>(p - view_.words.data()) / 2;
        i += L;
      } else {
        uint32_t x = states_[lane], packed;
        classes[i] = static_cast<uint16_t>(source.find(i, x & mask, packed));
        x = step_decode(x, packed, precision);
        if (x < kLowerBound) {
          if (words_left() == 0) {
            view_.fail(offset_of(view_.raw),
                       "its words end at symbol " + std::to_string(done_ + i) + std::string(kWrongTables));
          }
          x = x << 16 | load_u16(view_.words.data() + 2 * word_++);
        }
        states_[lane] = x;
        lane = lane + 1 == L ? 0 : lane + 1;
        ++i;
      }
    }
    done_ += n;
  }

  // After the last symbol on the lanes: their states hold the tail.
  void end_lanes() {
    if (words_left() != 0) {
      view_.fail(offset_of(view_.words) + 2 * word_,
                 std::to_string(words_left()) + " of its words are not used" + std::string(kWrongTables));
    }
    for (size_t l = 0; l < lanes_; ++l) {
      if (states_[l] >> 16 != 1 || (lanes_ == 1 && states_[l] != kLowerBound)) {
        view_.fail(view_.offset + 4 * l, "lane " + std::to_string(l) +
                                             " does not end in the state it was started with" +
                                             std::string(kWrongTables));
      }
    }
    if (lanes_ == 1) return;
    tail_state_ = states_[0] << 16 | (states_[1] & 0xffff);
    tail_word_ = 2;
    if (tail_state_ < kLowerBound) view_.fail(view_.offset, "the state of its tail is below 2^16");
    if (lane_symbols_ == view_.symbols) end_tail();
  }

  template <class Source>
  uint32_t decode_tail_symbol(Source& source, size_t i) {
    const int precision = source.precision();
    uint32_t packed;
    const uint32_t cls = source.find(i, tail_state_ & ((1u << precision) - 1), packed);
    tail_state_ = step_decode(tail_state_, packed, precision);
    if (tail_state_ < kLowerBound) {
      if (tail_word_ == lanes_) {
        view_.fail(view_.offset, "the words of its tail end at symbol " + std::to_string(done_) +
                                     std::string(kWrongTables));
      }
      tail_state_ = tail_state_ << 16 | (states_[tail_word_++] & 0xffff);
    }
    if (done_ + 1 == view_.symbols) end_tail();
    return cls;
  }

  void end_tail() {
    bool clean = tail_state_ == kLowerBound;
    for (; tail_word_ < lanes_; ++tail_word_) clean = clean && states_[tail_word_] == kLowerBound;
    if (!clean) {
      view_.fail(view_.offset,
                 "its tail does not end in the state it was started with" + std::string(kWrongTables));
    }
  }

  void to_values(const PmfSource&, const uint16_t* classes, size_t n, int32_t* out) {
    std::copy(classes, classes + n, out);
  }

  // Classes with their side data.
  void to_values(const TableSource& source, const uint16_t* classes, size_t n, int32_t* out) {
    const Tables& tables = *source.tables();
    const int32_t* indexes = source.indexes();
    for (size_t i = 0; i < n;) {
      i += source.loops().values(tables, indexes + i, classes + i, n - i, &raw_, out + i);
      // What the loop stops at is among the next symbols.
      for (const size_t end = std::min(n, i + 16); i < end; ++i) {
        const int32_t q = coarse_value(tables, source.table(i), classes[i]);
        const int k = tables.shift(source.table(i));
        uint32_t low = 0;
        if (k > 0 && !raw_.get(k, low)) {
          view_.fail(offset_of(view_.escapes), "its raw bits end early" + std::string(kWrongTables));
        }
        out[i] = q * (1 << k) + static_cast<int32_t>(low);
      }
    }
  }

  // q, which times 2^k is an int32.
  int32_t coarse_value(const Tables& tables, size_t table, uint32_t cls) {
    if (!tables.is_escape(table, cls)) return static_cast<int32_t>(tables.coarse_value(table, cls));
    const uint64_t number = escapes_.varint("its escapes");
    if (number >> 40 != 0) escapes_.fail("an escaped symbol beyond int32");
    const int64_t q = tables.coarse_value_of_escape(table, number);
    const int k = tables.shift(table);
    if (!is_coarse_int32(q, k)) escapes_.fail("an escaped symbol beyond int32");
    return static_cast<int32_t>(q);
  }

  void end_chunk() {
    if (!raw_.at_end()) {
      view_.fail(offset_of(view_.raw) + raw_.bytes_read(),
                 "raw bits that belong to no symbol" + std::string(kWrongTables));
    }
    if (escapes_.remaining() != 0)
      escapes_.fail("escapes that belong to no symbol" + std::string(kWrongTables));
  }

  ChunkView view_;
  size_t lanes_;
  uint64_t lane_symbols_;
  uint64_t done_ = 0;
  std::array<uint32_t, kMaxLanes> states_;
  size_t word_ = 0;
  uint32_t tail_state_ = 0;
  size_t tail_word_ = 0;
  RawSource raw_;
  ByteReader escapes_;
};

template <class Source>
void decode_stream(Bytes data, const Source& source, const MutableIntArray& out, Options options) {
  const StreamView stream(data, source.form());
  if (stream.count() != out.size) {
    throw CorruptStream("the stream holds " + std::to_string(stream.count()) + " symbols; expected " +
                        std::to_string(out.size));
  }
  parallel_for(stream.chunks().size(), options.threads, [&](size_t c) {
    const ChunkView& view = stream.chunks()[c];
    stream.check_crc(view);
    Source mine = source;
    ChunkDecoder chunk(view, static_cast<size_t>(stream.lanes()));
    std::array<int32_t, kBlock> values;
    for (size_t at = static_cast<size_t>(view.first_symbol); chunk.remaining() > 0;) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(kBlock, chunk.remaining()));
      mine.load(at, n);
      chunk.decode(mine, n, values.data());
      out.store(at, n, values.data());
      at += n;
    }
  });
}

}  // namespace

void decode(Bytes data, const Tables& tables, const IntArray& indexes, const MutableIntArray& out,
            Options options) {
  decode_stream(data, TableSource(tables, indexes, block_loops(options.simd)), out, options);
}

void decode(Bytes data, const Pmfs& pmfs, const MutableIntArray& out, Options options) {
  decode_stream(data, PmfSource(pmfs, block_loops(options.simd)), out, options);
}

struct StepDecoder::State {
  State(Bytes data, const Tables& t, Simd simd)
      : tables(t),
        loops(block_loops(simd)),
        stream(data, {t.precision(), t.has_shifts(), t.has_escapes()}),
        remaining(stream.count()) {}

  // The chunk the next symbol is in.
  ChunkDecoder& chunk() {
    if (!current || current->remaining() == 0) {
      const ChunkView& view = stream.chunks()[next_chunk++];
      stream.check_crc(view);
      current.emplace(view, static_cast<size_t>(stream.lanes()));
    }
    return *current;
  }

  const Tables& tables;
  const BlockLoops& loops;
  StreamView stream;
  uint64_t remaining;
  size_t next_chunk = 0;
  std::optional<ChunkDecoder> current;
  bool failed = false;
};

StepDecoder::StepDecoder(Bytes data, const Tables& tables, Simd simd)
    : state_(std::make_unique<State>(data, tables, simd)) {}
StepDecoder::~StepDecoder() = default;

uint64_t StepDecoder::count() const { return state_->stream.count(); }
uint64_t StepDecoder::remaining() const { return state_->remaining; }

void StepDecoder::pull(const IntArray& indexes, const MutableIntArray& out) {
  State& s = *state_;
  if (s.failed) throw InvalidArgument("an earlier pull from this decoder failed; make a new one");
  if (out.size > s.remaining) {
    throw InvalidArgument("pull of " + std::to_string(out.size) + " symbols, but only " +
                          std::to_string(s.remaining) + " of " + std::to_string(s.stream.count()) +
                          " are left in the stream");
  }
  s.failed = true;  // until this pull is through
  TableSource source(s.tables, indexes, s.loops);
  std::array<int32_t, kBlock> values;
  for (size_t at = 0; at < out.size;) {
    ChunkDecoder& chunk = s.chunk();
    const size_t n = static_cast<size_t>(std::min<uint64_t>({kBlock, chunk.remaining(), out.size - at}));
    source.load(at, n);
    chunk.decode(source, n, values.data());
    out.store(at, n, values.data());
    at += n;
    s.remaining -= n;
  }
  s.failed = false;
}

}  // namespace pycodec::rans
