// The decoder: symbol by symbol from the lanes, with their side data, whole rounds of them by the block
// loops. Resumable after every symbol, so that bulk and step decoding are one piece of code. It believes
// nothing the data says: see the checks.
#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "rans/block_loops.h"
#include "rans/each.h"
#include "rans/layout.h"
#include "rans/rans.h"
#include "rans/tandem.h"

namespace pycodec::rans {
namespace {

constexpr size_t kBlock = 256;

constexpr char kWrongTables[] = "; the data is damaged, or was written with other tables";

// A class and itself packed.
struct Class {
  uint32_t number, packed;
};

// The tables of a block of symbols, by prepared tables.
class TableSource {
 public:
  TableSource(const Tables& tables, const IntArray& indexes, const BlockLoops& loops)
      : tables_(&tables), indexes_(&indexes), loops_(&loops) {}

  int precision() const { return tables_->precision(); }
  Form form() const { return {tables_->precision(), tables_->has_shifts(), tables_->has_escapes()}; }

  // A block of at most kBlock symbols from `begin` in the arrays on.
  void load(size_t begin, size_t n) { indexes_->load_indexes(begin, n, tables_->size(), block_.data()); }

  // Symbol i of the block.
  Class find(size_t i, uint32_t slot) const {
    const size_t table = static_cast<size_t>(block_[i]);
    const uint32_t cls = tables_->find(table, slot);
    return {cls, tables_->packed(table, cls)};
  }

  // The symbol i of this class; `side` has its raw bits and its escape number, if any.
  template <class Side>
  INLINE int32_t value(size_t i, uint32_t cls, Side&& side) const {
    const size_t table = static_cast<size_t>(block_[i]);
    const int k = tables_->shift(table);
    const int32_t q = tables_->is_escape(table, cls)
                          ? side.escaped(*tables_, table)
                          : static_cast<int32_t>(tables_->coarse_value(table, cls));
    return k == 0 ? q : q * (1 << k) + static_cast<int32_t>(side.raw_bits(k));
  }

  void decode_rounds(const MutableIntArray& out, DecodingLanes* chunks, size_t count, size_t rounds) const {
    loops_->decode(*tables_, *indexes_, out, chunks, count, rounds);
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
  void load(size_t begin, size_t) { begin_ = begin; }

  Class find(size_t i, uint32_t slot) const {
    std::array<uint16_t, kMaxPmfClasses + 1> starts;
    pmfs_->row_starts(begin_ + i, starts.data());
    uint32_t cls = 0;
    while (starts[cls + 1] <= slot) ++cls;
    return {cls, pack_class(starts[cls], static_cast<uint32_t>(starts[cls + 1] - starts[cls]))};
  }

  template <class Side>
  int32_t value(size_t, uint32_t cls, Side&&) const {
    return static_cast<int32_t>(cls);
  }

  void decode_rounds(const MutableIntArray& out, DecodingLanes* chunks, size_t count, size_t rounds) const {
    loops_->decode_pmfs(*pmfs_, out, chunks, count, rounds);
  }

 private:
  const Pmfs* pmfs_;
  const BlockLoops* loops_;
  size_t begin_ = 0;
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

  // The next n <= remaining() symbols or fewer, one by one, for position `at` of the arrays; how many.
  template <class Source>
  size_t decode(Source& source, size_t at, size_t n, const MutableIntArray& out) {
    n = std::min(n, kBlock);
    source.load(at, n);
    std::array<int32_t, kBlock> values;
    const size_t on_lanes =
        static_cast<size_t>(std::min<uint64_t>(n, lane_symbols_ - std::min(lane_symbols_, done_)));
    if (on_lanes > 0) {
      switch (lanes_) {
        case 1:
          decode_lanes<1>(source, on_lanes, values.data());
          break;
        case 4:
          decode_lanes<4>(source, on_lanes, values.data());
          break;
        case 8:
          decode_lanes<8>(source, on_lanes, values.data());
          break;
        default:
          decode_lanes<32>(source, on_lanes, values.data());
      }
    }
    for (size_t i = on_lanes; i < n; ++i) values[i] = decode_tail_symbol(source, i);
    out.store(at, n, values.data());
    return n;
  }

  // For the block loops: whole rounds that are next, and the lanes before and after them.
  size_t rounds() const {
    if (lanes_ != kRound || done_ % kRound != 0 || done_ >= lane_symbols_) return 0;
    return static_cast<size_t>((lane_symbols_ - done_) / kRound);
  }
  DecodingLanes lanes(size_t at) {
    const uint8_t* words = view_.words.data();
    return {at, states_.data(), {words + 2 * word_, words + view_.words.size()}, &raw_};
  }
  void move_to(const DecodingLanes& lanes, size_t symbols) {
    word_ = static_cast<size_t>(lanes.words.next - view_.words.data()) / 2;
    move_on_lanes(symbols);
  }
  size_t to_end_of_round() const { return kRound - static_cast<size_t>(done_ % kRound); }

  // The side data of the next symbol.
  uint32_t raw_bits(int k) {
    uint32_t low = 0;
    if (!raw_.get(k, low)) {
      view_.fail(offset_of(view_.escapes), "its raw bits end early" + std::string(kWrongTables));
    }
    return low;
  }
  // q, which times 2^k is an int32.
  int32_t escaped(const Tables& tables, size_t table) {
    const uint64_t number = escapes_.varint("its escapes");
    if (number >> 40 != 0) escapes_.fail("an escaped symbol beyond int32");
    const int64_t q = tables.coarse_value_of_escape(table, number);
    if (!is_coarse_int32(q, tables.shift(table))) escapes_.fail("an escaped symbol beyond int32");
    return static_cast<int32_t>(q);
  }

 private:
  size_t offset_of(Bytes part) const {
    return view_.offset + static_cast<size_t>(part.data() - view_.states.data());
  }
  size_t words_left() const { return view_.words.size() / 2 - word_; }

  template <size_t L, class Source>
  void decode_lanes(const Source& source, size_t n, int32_t* values) {
    const int precision = source.precision();
    const uint32_t mask = (1u << precision) - 1;
    size_t lane = static_cast<size_t>(done_ % L);
    size_t i = 0;
    while (i < n) {
      if (lane == 0 && n - i >= L && words_left() >= L) {
        // A whole round: one check of bounds, then reads without branches.
        const uint8_t* p = view_.words.data() + 2 * word_;
        for (size_t l = 0; l < L; ++l) {
          const Class found = source.find(i + l, states_[l] & mask);
          const uint32_t x = step_decode(states_[l], found.packed, precision);
          const uint32_t refill = x < kLowerBound;  // arithmetic, for compilers make branches of choices
          states_[l] = x << 16 * refill | (load_u16(p) & (0u - refill));
          p += 2 * refill;
          values[i + l] = source.value(i + l, found.number, *this);
        }
        word_ = static_cast<size_t>(p - view_.words.data()) / 2;
        i += L;
      } else {
        const Class found = source.find(i, states_[lane] & mask);
        uint32_t x = step_decode(states_[lane], found.packed, precision);
        if (x < kLowerBound) {
          if (words_left() == 0) {
            view_.fail(offset_of(view_.raw),
                       "its words end at symbol " + std::to_string(done_ + i) + std::string(kWrongTables));
          }
          x = x << 16 | load_u16(view_.words.data() + 2 * word_++);
        }
        states_[lane] = x;
        values[i] = source.value(i, found.number, *this);
        lane = lane + 1 == L ? 0 : lane + 1;
        ++i;
      }
    }
    move_on_lanes(n);
  }

  void move_on_lanes(size_t n) {
    done_ += n;
    if (n > 0 && done_ == lane_symbols_) end_lanes();
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
    if (lanes_ > 1) {
      tail_state_ = states_[0] << 16 | (states_[1] & 0xffff);
      tail_word_ = 2;
      if (tail_state_ < kLowerBound) view_.fail(view_.offset, "the state of its tail is below 2^16");
    }
    if (lane_symbols_ == view_.symbols) end_chunk();
  }

  template <class Source>
  int32_t decode_tail_symbol(const Source& source, size_t i) {
    const int precision = source.precision();
    const Class found = source.find(i, tail_state_ & ((1u << precision) - 1));
    tail_state_ = step_decode(tail_state_, found.packed, precision);
    if (tail_state_ < kLowerBound) {
      if (tail_word_ == lanes_) {
        view_.fail(view_.offset, "the words of its tail end at symbol " + std::to_string(done_) +
                                     std::string(kWrongTables));
      }
      tail_state_ = tail_state_ << 16 | (states_[tail_word_++] & 0xffff);
    }
    const int32_t value = source.value(i, found.number, *this);
    if (++done_ == view_.symbols) end_chunk();
    return value;
  }

  // After the last symbol of all.
  void end_chunk() {
    if (lanes_ > 1) {
      bool clean = tail_state_ == kLowerBound;
      for (; tail_word_ < lanes_; ++tail_word_) clean = clean && states_[tail_word_] == kLowerBound;
      if (!clean) {
        view_.fail(view_.offset,
                   "its tail does not end in the state it was started with" + std::string(kWrongTables));
      }
    }
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

// A chunk's next symbols and where in the arrays they belong.
struct Run {
  ChunkDecoder* chunk;
  size_t begin, end;
};

// At most `rounds` rounds of all runs by the block loops; says whether there were any.
template <class Source>
bool decode_rounds(const Source& source, Run* runs, size_t count, size_t rounds, const MutableIntArray& out) {
  std::array<DecodingLanes, kTandem> lanes;
  for (size_t k = 0; k < count; ++k) {
    rounds = std::min({rounds, runs[k].chunk->rounds(), (runs[k].end - runs[k].begin) / kRound});
    lanes[k] = runs[k].chunk->lanes(runs[k].begin);
  }
  if (rounds == 0) return false;
  source.decode_rounds(out, lanes.data(), count, rounds);
  bool moved = false;
  for (size_t k = 0; k < count; ++k) {
    const size_t n = lanes[k].begin - runs[k].begin;
    runs[k].chunk->move_to(lanes[k], n);
    runs[k].begin += n;
    moved = moved || n > 0;
  }
  return moved;
}

// All symbols of one run or of two in tandem.
template <class Source>
void decode_runs(Source& source, Run* runs, size_t count, const MutableIntArray& out) {
  for (bool any = true; any;) {
    any = false;
    const bool smooth = decode_rounds(source, runs, count, SIZE_MAX, out);
    for (size_t k = 0; k < count; ++k) {
      Run& run = runs[k];
      // Whatever the loops stopped at is the next round of one of the chunks.
      if (run.begin < run.end && (count == 1 || !decode_rounds(source, &run, 1, 1, out))) {
        const size_t n = std::min(run.end - run.begin, smooth ? run.chunk->to_end_of_round() : kBlock);
        run.begin += run.chunk->decode(source, run.begin, n, out);
      }
      any = any || run.begin < run.end;
    }
  }
}

template <class Source>
void decode_stream(Bytes data, const Source& source, const MutableIntArray& out, Options options) {
  const StreamView stream(data, source.form());
  if (stream.count() != out.size) {
    throw CorruptStream("the stream holds " + std::to_string(stream.count()) + " symbols; expected " +
                        std::to_string(out.size));
  }
  in_tandem(stream.chunks().size(), options.threads, kTandem, [&](size_t first, size_t n) {
    Source mine = source;
    std::array<std::optional<ChunkDecoder>, kTandem> chunks;
    std::array<Run, kTandem> runs;
    for (size_t k = 0; k < n; ++k) {
      const ChunkView& view = stream.chunks()[first + k];
      stream.check_crc(view);
      chunks[k].emplace(view, static_cast<size_t>(stream.lanes()));
      const size_t begin = static_cast<size_t>(view.first_symbol);
      runs[k] = {&*chunks[k], begin, begin + static_cast<size_t>(view.symbols)};
    }
    decode_runs(mine, runs.data(), n, out);
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
  std::atomic<uint64_t> remaining;  // may be asked for while another thread pulls
  size_t next_chunk = 0;
  std::optional<ChunkDecoder> current;
  bool failed = false;
};

StepDecoder::StepDecoder(Bytes data, const Tables& tables, Simd simd)
    : state_(std::make_unique<State>(data, tables, simd)) {}
StepDecoder::~StepDecoder() = default;

uint64_t StepDecoder::count() const { return state_->stream.count(); }
uint64_t StepDecoder::remaining() const { return state_->remaining.load(std::memory_order_relaxed); }

void StepDecoder::pull(const IntArray& indexes, const MutableIntArray& out) {
  State& s = *state_;
  if (s.failed) throw InvalidArgument("an earlier pull from this decoder failed; make a new one");
  if (out.size > remaining()) {
    throw InvalidArgument("pull of " + std::to_string(out.size) + " symbols, but only " +
                          std::to_string(remaining()) + " of " + std::to_string(s.stream.count()) +
                          " are left in the stream");
  }
  s.failed = true;  // until this pull is through
  TableSource source(s.tables, indexes, s.loops);
  for (size_t at = 0; at < out.size;) {
    ChunkDecoder& chunk = s.chunk();
    const size_t n = static_cast<size_t>(std::min<uint64_t>(chunk.remaining(), out.size - at));
    Run run{&chunk, at, at + n};
    decode_runs(source, &run, 1, out);
    at += n;
    s.remaining.fetch_sub(n, std::memory_order_relaxed);
  }
  s.failed = false;
}

}  // namespace pycodec::rans
