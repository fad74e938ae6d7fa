// One table a symbol, from probabilities: float32 or uint16 rows of N x classes.
//
// The rule, normative, one text for every backend. M = 2^14 - classes. For every class but the last
//     float32:  freq = floor(p * float32(M)) + 1    one multiplication, rounded to nearest; 0 <= p <= 1
//     uint16:   freq = floor(u * M / 2^16) + 1      integers; u is the probability in units of 2^-16
// and the last class takes the rest, so at least 1; a row whose freqs by the formula above, that of the last
// class included, sum to more than 2^14 is refused: its probabilities sum to more than 1.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"
#include "base/prefetch.h"
#include "base/span.h"

namespace pycodec::rans {

constexpr int kPmfPrecision = 14;
constexpr size_t kMaxPmfClasses = 4096;

// The rule itself, `spare` being M.
PYCODEC_HD inline bool is_probability(float p) { return p >= 0.0f && p <= 1.0f; }
PYCODEC_HD inline uint32_t pmf_freq(float p, uint32_t spare) {
  return static_cast<uint32_t>(p * static_cast<float>(spare)) + 1;
}
PYCODEC_HD constexpr bool is_probability(uint16_t) { return true; }
PYCODEC_HD constexpr uint32_t pmf_freq(uint16_t u, uint32_t spare) { return (u * spare >> 16) + 1; }

struct Pmfs {
  const float* floats = nullptr;  // one of these two, [rows][classes]
  const uint16_t* words = nullptr;
  size_t rows = 0;
  size_t classes = 0;

  // starts[c] for c in [0, classes], the last being 2^14. Throws InvalidArgument that names row and class.
  void row_starts(size_t row, uint16_t* starts) const;

  __attribute__((always_inline)) void prefetch(size_t row, size_t n) const {
    const size_t width = floats != nullptr ? sizeof(float) : sizeof(uint16_t);
    const void* data = floats != nullptr ? static_cast<const void*>(floats) : words;
    prefetch_bytes(static_cast<const char*>(data) + row * classes * width, n * classes * width);
  }
};

}  // namespace pycodec::rans
