// Substreams: rANS with 32-bit states, 16-bit words and 14-bit frequencies, plus a side list of escapes.
//
// The coder is last in, first out, so the encoder walks the symbols backwards from the state 2^16 and the
// decoder must arrive there: that, and the exact length, is its check.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "context/layout.h"

namespace pycodec::context {

using rans::kLowerBound;

// States and words of one substream, filled from its last symbol to its first.
class SubstreamWriter {
 public:
  SubstreamWriter() { states_.fill(kLowerBound); }

  void put(Interval s, int lane) {
    uint32_t x = states_[lane];
    if (rans::step_emits(x, s.frequency, kPrecision)) {
      words_.push_back(static_cast<uint16_t>(x));
      x >>= 16;
    }
    states_[lane] = rans::step_encode(x, s.packed(), kPrecision);
  }

  size_t words() const { return words_.size(); }

  void append_to(ByteWriter& out, int lanes) const {
    for (int lane = 0; lane < lanes; ++lane) out.u32(states_[lane]);
    for (auto word = words_.rbegin(); word != words_.rend(); ++word) out.u16(*word);
  }

 private:
  std::array<uint32_t, kMaxLanes> states_;
  std::vector<uint16_t> words_;
};

// Reads a substream of the given parts; every shortage throws CorruptStream.
class SubstreamReader {
 public:
  SubstreamReader(int index, Bytes states, Bytes words, Bytes escapes)
      : name_("context substream " + std::to_string(index)),
        escape_name_("the escapes of " + name_),
        lanes_(static_cast<int>(states.size() / 4)),
        next_(words.data()),
        end_(words.data() + words.size()),
        escapes_(escapes) {
    for (int lane = 0; lane < lanes_; ++lane) {
      states_[lane] = load_u32(states.data() + 4 * lane);
      if (states_[lane] < kLowerBound) fail("begins with an impossible state");
    }
  }

  // The number in 0 .. 2^14 - 1 that lies in the next symbol's interval.
  uint32_t peek(int lane) const { return states_[lane] & (kTotal - 1); }

  void advance(Interval s, int lane) {
    uint32_t x = rans::step_decode(states_[lane], s.packed(), kPrecision);
    if (x < kLowerBound) {
      if (next_ == end_) fail("ends before its symbols do");
      x = x << 16 | load_u16(next_);
      next_ += 2;
    }
    states_[lane] = x;
  }

  uint32_t escape() {
    const uint64_t v = escapes_.varint(escape_name_.c_str());
    if (v >= kMaxEscape) fail("holds an escape out of range");
    return static_cast<uint32_t>(v);
  }

  // Everything must be used up and every state back where the encoder began.
  void finish() const {
    for (int lane = 0; lane < lanes_; ++lane) {
      if (states_[lane] != kLowerBound) fail("does not end in the state it was begun with");
    }
    if (next_ != end_ || escapes_.remaining() != 0) fail("holds more data than its symbols");
  }

  [[noreturn]] void fail(const char* problem) const {
    throw CorruptStream(name_ + " " + problem + ": the data are damaged, or were coded by another model");
  }

 private:
  std::string name_, escape_name_;
  int lanes_;
  std::array<uint32_t, kMaxLanes> states_{};
  const uint8_t *next_, *end_;
  ByteReader escapes_;
};

}  // namespace pycodec::context
