// Sets of lanes: bits of 64-bit words, lane 0 the lowest bit of the first.
#pragma once

#include <cstdint>

namespace pycodec::context {

constexpr int kWordLanes = 64;

// The first member at or after `from`, or `count` if none is below that.
inline int next_lane(const uint64_t* set, int from, int count) {
  while (from < count) {
    const uint64_t rest = set[from / kWordLanes] >> (from % kWordLanes);
    if (rest != 0) return from + __builtin_ctzll(rest);
    from = (from / kWordLanes + 1) * kWordLanes;
  }
  return count;
}

inline bool holds_all(const uint64_t* set, int count) {
  for (; count >= kWordLanes; count -= kWordLanes) {
    if (~*set++ != 0) return false;
  }
  return count == 0 || ~*set << (kWordLanes - count) == 0;
}

// 64 lanes from lane `shift` of the word on.
inline uint64_t word_at(const uint64_t* word, int shift) {
  return word[0] >> shift | word[1] << 1 << (kWordLanes - 1 - shift);
}

}  // namespace pycodec::context
