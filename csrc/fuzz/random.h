// Seeded random numbers, the same on every machine.
#pragma once

#include <cstdint>

namespace pycodec::fuzz {

class Random {  // xorshift64*
 public:
  explicit Random(uint64_t seed) : state_((seed + 1) * 0x9E3779B97F4A7C15ULL | 1) {}

  int between(int low, int high) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const uint64_t span = static_cast<uint64_t>(static_cast<int64_t>(high) - low + 1);
    return static_cast<int>(low + static_cast<int64_t>((state_ * 0x2545F4914F6CDD1DULL >> 33) % span));
  }

  template <class T, size_t N>
  T one_of(const T (&values)[N]) {
    return values[between(0, static_cast<int>(N) - 1)];
  }

 private:
  uint64_t state_;
};

}  // namespace pycodec::fuzz
