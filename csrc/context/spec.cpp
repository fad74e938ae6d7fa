#include "context/spec.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>

#include "base/error.h"

namespace pycodec::context {
namespace {

template <class T>
void check_size(const std::vector<T>& array, size_t expected, const char* name) {
  if (array.size() != expected) {
    throw InvalidArgument("context model: " + std::string(name) + " has " + std::to_string(array.size()) +
                          " elements, expected " + std::to_string(expected));
  }
}

void require(bool condition, const char* sentence) {
  if (!condition) throw InvalidArgument(std::string("context model: ") + sentence);
}

}  // namespace

void Model::prepare() {
  require(width >= 4 && width <= kMaxWidth && width % 4 == 0, "k must be a multiple of 4 between 4 and 64");
  const bool categorical = head == Head::kCategorical;
  if (categorical) {
    require(outputs >= 2 && outputs <= kMaxOutputs, "a categorical head has 2 to 32 outputs");
  } else {
    require(outputs == 2, "a parametric head has 2 outputs");
  }
  check_size(input_map, categorical ? outputs : 256, "input_map");
  for (int layer = 0; layer < 4; ++layer) {
    check_size(weights[layer], static_cast<size_t>(channels(layer)) * inputs(layer) * kTaps[layer],
               "a weight");
    check_size(multipliers[layer], channels(layer), "a multiplier");
    // Then rescaled values stay within 2^30 and their differences within an int32.
    for (int32_t m : multipliers[layer]) require(m >= 1, "every multiplier must be at least 1");
  }
  require(planes >= 0 && planes <= kMaxPlanes, "at most 256 planes");
  check_size(earlier, static_cast<size_t>(planes) * std::max(0, planes - 1) * width, "weight_earlier");
  check_size(bias1, width, "bias1");
  check_size(bias2, width, "bias2");
  check_size(residual, width, "residual");

  if (categorical) {
    check_size(exp_table, kExpEntries, "exp_table");
    require(exp_table[0] == kMaxExp, "exp_table must begin with 4096");
    for (int32_t e : exp_table) require(e >= 0 && e <= kMaxExp, "exp_table must lie in 0..4096");
    return;
  }
  constexpr size_t tables = kScales * kFractions;
  check_size(table_radius, tables, "table_radius");
  size_t classes = 0;
  for (uint8_t radius : table_radius) {
    require(radius <= 127, "table_radius must be at most 127");
    classes += 2 * radius + 2;
  }
  check_size(table_frequencies, classes, "table_frequencies");
  offsets.clear();
  starts.clear();
  size_t next = 0;
  for (size_t i = 0; i < tables; ++i) {
    offsets.push_back(static_cast<uint32_t>(starts.size()));
    uint32_t sum = 0;
    for (int j = 0; j < 2 * table_radius[i] + 2; ++j) {
      const int32_t frequency = table_frequencies[next++];
      require(frequency >= 1, "every frequency of a table must be at least 1");
      starts.push_back(static_cast<uint16_t>(sum));
      sum += frequency;
      require(sum <= kTotal, "the frequencies of a table must sum to 16384");
    }
    require(sum == kTotal, "the frequencies of a table must sum to 16384");
    starts.insert(starts.end(), kStartsPadding, static_cast<uint16_t>(sum));
  }
}

}  // namespace pycodec::context
