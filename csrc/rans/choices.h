// The encoder's choices of lanes and chunks, in integers: "ENCODER'S CHOICES" of rans.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "base/host_device.h"

namespace pycodec::rans {

constexpr uint64_t kSampleAll = 16384;    // up to here every symbol is counted
constexpr uint64_t kSampleBlock = 64;     // else blocks of so many symbols
constexpr uint64_t kSampleStride = 1021;  // a prime, so that no image width falls in step with it
constexpr uint64_t kChunkBytes = 32768;

// 256 log2 f, rounded down but for the truncations of its steps, which are part of the rule; 1 <= f <= 2^15.
PYCODEC_HD constexpr uint32_t log2_256(uint32_t f) {
  int whole = 0;
  while (f >> (whole + 1) != 0) ++whole;
  uint32_t m = f << (15 - whole);  // f / 2^whole in [1, 2), 15 fraction bits
  uint32_t result = static_cast<uint32_t>(whole);
  for (int i = 0; i < 8; ++i) {
    m = m * m >> 15;
    result = result << 1 | m >> 16;
    m >>= m >> 16;
  }
  return result;
}

// Whether a symbol is among those whose cost is counted.
PYCODEC_HD constexpr bool is_sampled(uint64_t symbol, uint64_t count) {
  return count <= kSampleAll || symbol % kSampleStride < kSampleBlock;
}

struct Choices {
  uint64_t lanes;
  uint64_t chunk_symbols;  // count when lanes < 32
};

// cost: sum over the `sampled` symbols, in 1/256 bit. count > 0.
inline Choices choose(uint64_t cost, uint64_t sampled, uint64_t count) {
  const unsigned __int128 scaled = static_cast<unsigned __int128>(cost) * count / sampled;
  const uint64_t bytes = static_cast<uint64_t>(scaled >> 11);
  if (bytes < 16384) return {bytes < 1024 ? uint64_t{1} : bytes < 4096 ? uint64_t{4} : uint64_t{8}, count};
  const uint64_t chunks = std::max<uint64_t>(1, bytes / kChunkBytes);
  return {32, ceil_div(ceil_div(count, chunks), 32) * 32};
}

}  // namespace pycodec::rans
