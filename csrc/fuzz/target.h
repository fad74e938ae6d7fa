// What every target has: libFuzzer's entry point, choices read from an input, and a check that ends the run.
//
// A target reads a few choices from the front of its input (which tables, which shape, which damage) and
// takes the rest as the hostile bytes. Whatever is expected of them is a CorruptStream, an InvalidArgument
// where the target says so, or a result that every way of computing it agrees on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/span.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace pycodec::fuzz {

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "wrong: %s\n", what);
  std::abort();
}

// The bytes of an input, in turn; zeros when they have run out.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : next_(data), end_(data + size) {}

  size_t left() const { return static_cast<size_t>(end_ - next_); }
  uint8_t u8() { return next_ < end_ ? *next_++ : 0; }
  uint16_t u16() {
    const uint16_t low = u8();
    return static_cast<uint16_t>(low | u8() << 8);
  }
  uint32_t u32() {
    const uint32_t low = u16();
    return low | static_cast<uint32_t>(u16()) << 16;
  }
  bool flag() { return u8() % 2 != 0; }
  // A choice, of at most 2^16.
  int between(int low, int high) {
    const int span = high - low + 1;
    return low + (span <= 256 ? u8() : u16()) % span;
  }
  template <class T, size_t N>
  T one_of(const T (&values)[N]) {
    return values[between(0, static_cast<int>(N) - 1)];
  }
  // Elements of any value.
  template <class T>
  std::vector<T> array(size_t count) {
    std::vector<T> values(count);
    const size_t bytes = std::min(count * sizeof(T), left());
    if (bytes > 0) std::memcpy(values.data(), next_, bytes);
    next_ += bytes;
    return values;
  }
  // All that is left: a copy on the heap of exactly that size, so that reading past it is seen.
  std::vector<uint8_t> rest() { return array<uint8_t>(left()); }

  // Mostly one: to wake another takes longer than most inputs do.
  int threads() { return u8() % 16 == 0 ? 3 : 1; }
  Simd simd() {
    const std::vector<Simd>& levels = simd_available();
    return levels[u8() % levels.size()];
  }

 private:
  const uint8_t *next_, *end_;
};

// A valid stream, damaged as the input says: bytes changed, and perhaps the end cut off.
inline void damage(Input& in, std::vector<uint8_t>& data) {
  const bool cut = in.flag();
  if (cut && !data.empty()) data.resize(in.u16() % data.size());
  while (in.left() >= 3 && !data.empty()) {
    const size_t at = in.u16() % data.size();
    data[at] = static_cast<uint8_t>(data[at] ^ in.u8());
  }
  data.shrink_to_fit();
}

// What came of decoding: symbols, or what the stream was refused for.
struct Outcome {
  std::string error;
  std::vector<int32_t> symbols;

  bool same_as(const Outcome& other) const { return error == other.error && agrees_with(other); }
  // But for the words.
  bool agrees_with(const Outcome& other) const {
    return error.empty() == other.error.empty() && symbols == other.symbols;
  }
};

// Calls decode(symbols), which may throw CorruptStream and nothing else.
template <class Decode>
Outcome outcome_of(size_t count, const Decode& decode) {
  Outcome found;
  found.symbols.resize(count);
  try {
    decode(found.symbols);
  } catch (const CorruptStream& error) {
    found.error = error.what();
    found.symbols.clear();
  }
  return found;
}

}  // namespace pycodec::fuzz
