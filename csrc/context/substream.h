// Substreams: rANS with 32-bit states, 16-bit words and 14-bit frequencies, plus a side list of escapes.
//
// The coder is last in, first out, so the encoder walks the symbols backwards from the state 2^16 and the
// decoder must arrive there: that, and the exact length, is its check.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "context/layout.h"

namespace pycodec::context {

using rans::kLowerBound;

// States and words of one substream, filled from its last symbol to its first.
class SubstreamWriter {
 public:
  // Room for so many symbols, each of which gives at most one word.
  SubstreamWriter(size_t symbols, int lanes)
      : lanes_(lanes), words_(new uint16_t[symbols]), end_(words_.get() + symbols), first_(end_) {
    states_.fill(kLowerBound);
  }

  // A step's intervals, `distance` apart.
  void put(const Interval* step, ptrdiff_t distance, int count) {
    if (lanes_ == 1) {
      uint32_t x = states_[0];  // in a register
      while (--count >= 0) x = put(step[count * distance], x);
      states_[0] = x;
    } else {
      while (--count >= 0) {
        uint32_t& x = states_[count & (lanes_ - 1)];
        x = put(step[count * distance], x);
      }
    }
  }

  size_t words() const { return static_cast<size_t>(end_ - first_); }

  void append_to(ByteWriter& out) const {
    for (int lane = 0; lane < lanes_; ++lane) out.u32(states_[lane]);
    for (const uint16_t* word = first_; word != end_; ++word) out.u16(*word);
  }

 private:
  uint32_t put(Interval s, uint32_t x) {
    if (rans::step_emits(x, s.frequency, kPrecision)) {
      *--first_ = static_cast<uint16_t>(x);
      x >>= 16;
    }
    return rans::step_encode(x, s.packed(), kPrecision);
  }

  int lanes_;
  std::array<uint32_t, kMaxLanes> states_;
  std::unique_ptr<uint16_t[]> words_;
  uint16_t *end_, *first_;
};

// Reads a substream of the given parts; every shortage throws CorruptStream.
class SubstreamReader {
 public:
  SubstreamReader(int index, Bytes states, Bytes words, Bytes escapes)
      : name_("context substream " + std::to_string(index)),
        escape_name_("the escapes of " + name_),
        lanes_(static_cast<int>(states.size() / 4)),
        cursor_{{}, words.data(), words.data() + words.size()},
        escapes_(escapes) {
    for (int lane = 0; lane < lanes_; ++lane) {
      cursor_.states[lane] = load_u32(states.data() + 4 * lane);
      if (cursor_.states[lane] < kLowerBound) fail("begins with an impossible state");
    }
  }

  // What changes from symbol to symbol.
  struct Cursor {
    void advance(uint32_t& state, Interval s, const SubstreamReader& reader) {
      state = rans::step_decode(state, s.packed(), kPrecision);
      if (state < kLowerBound) {
        if (next == end) reader.fail("ends before its symbols do");
        state = state << 16 | load_u16(next);
        next += 2;
      }
    }

    std::array<uint32_t, kMaxLanes> states{};
    const uint8_t *next, *end;
  };
  const Cursor& cursor() const { return cursor_; }
  void set_cursor(const Cursor& cursor) { cursor_ = cursor; }

  uint32_t escape() {
    const uint64_t v = escapes_.varint(escape_name_.c_str());
    if (v >= kMaxEscape) fail("holds an escape out of range");
    return static_cast<uint32_t>(v);
  }

  // Everything must be used up and every state back where the encoder began.
  void finish() const {
    for (int lane = 0; lane < lanes_; ++lane) {
      if (cursor_.states[lane] != kLowerBound) fail("does not end in the state it was begun with");
    }
    if (cursor_.next != cursor_.end || escapes_.remaining() != 0) fail("holds more data than its symbols");
  }

  [[noreturn]] void fail(const char* problem) const {
    throw CorruptStream(name_ + " " + problem + ": the data are damaged, or were coded by another model");
  }

 private:
  std::string name_, escape_name_;
  int lanes_;
  Cursor cursor_;
  ByteReader escapes_;
};

}  // namespace pycodec::context
