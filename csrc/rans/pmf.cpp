#include "rans/pmf.h"

#include <string>

#include "base/error.h"

namespace pycodec::rans {
namespace {

[[noreturn]] void refuse(size_t row, const std::string& why) {
  throw InvalidArgument("pmfs[" + std::to_string(row) + "]" + why);
}

}  // namespace

void Pmfs::row_starts(size_t row, uint16_t* starts) const {
  constexpr uint32_t kTotal = 1u << kPmfPrecision;
  const uint32_t spare = kTotal - static_cast<uint32_t>(classes);
  uint32_t start = 0;
  for (size_t c = 0; c < classes; ++c) {
    uint32_t freq;
    if (floats != nullptr) {
      const float p = floats[row * classes + c];
      if (!is_probability(p)) {
        refuse(row, "[" + std::to_string(c) + "] is " + std::to_string(p) +
                        "; expected a probability from 0 to 1");
      }
      freq = pmf_freq(p, spare);
    } else {
      freq = pmf_freq(words[row * classes + c], spare);
    }
    starts[c] = static_cast<uint16_t>(start);
    start += freq;
    if (start > kTotal) refuse(row, " sums to more than 1; expected probabilities that sum to 1");
  }
  starts[classes] = kTotal;
}

}  // namespace pycodec::rans
