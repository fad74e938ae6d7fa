// The integer masked 3D context model: the arrays of a model and of an image, which every backend shares.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/span.h"
#include "context/arithmetic.h"

namespace pycodec::context {

constexpr int kStartsPadding = 16;  // so many starts of a table may be looked at together
constexpr std::array<int, 4> kTaps = {13, 14, 14, 14};

enum class Head { kCategorical, kParametric };

constexpr std::array<Tap, 14> kTapOffsets = {{tap_offset(0), tap_offset(1), tap_offset(2), tap_offset(3),
                                              tap_offset(4), tap_offset(5), tap_offset(6), tap_offset(7),
                                              tap_offset(8), tap_offset(9), tap_offset(10), tap_offset(11),
                                              tap_offset(12), tap_offset(13)}};

// The arrays of a model that do not depend on the quality, with the sizes the names of pycodec.coding.context
// say.
struct Model {
  Head head = Head::kCategorical;
  int width = 0;
  int outputs = 0;
  std::vector<uint8_t> input_map;
  std::array<std::vector<int8_t>, 4> weights;  // [out][in][tap]
  std::vector<int32_t> bias1, bias2;           // [k]
  std::array<std::vector<int32_t>, 4> multipliers;
  std::vector<int32_t> residual;           // [k]
  std::array<uint8_t, 4> constants{};      // out-of-volume code of each layer's input
  int planes = 0;                          // that `earlier` is for
  std::vector<int8_t> earlier;             // [pair][k][value, magnitude]: see earlier_weights()
  std::vector<int32_t> exp_table;          // categorical: [2048]
  std::vector<uint8_t> table_radius;       // parametric: [64 * 16]
  std::vector<int16_t> table_frequencies;  // parametric: 2 * radius + 2 per table

  // Made by prepare(): for table i, starts[offsets[i]] = 0, then the running sums up to 2^14, which is there
  // kStartsPadding times.
  std::vector<uint16_t> starts;
  std::vector<uint32_t> offsets;

  // Checks every size and every value that memory safety rests on, and fills the derived arrays.
  // Throws InvalidArgument.
  void prepare();

  // Whether layer 0 sees all earlier planes at the symbol's position too.
  bool sees_earlier_planes() const { return planes > 1; }
  // Of plane d for plane e < d: [k][value, magnitude].
  const int8_t* earlier_weights(int d, int e) const {
    return earlier.data() + (static_cast<size_t>(d) * (d - 1) / 2 + e) * width * 2;
  }

  int inputs(int layer) const { return layer == 0 ? 1 : width; }
  int channels(int layer) const { return layer == 3 ? outputs : width; }
};

// Biases of one image, interpolated between qualities: bias0 [planes][k], bias3 [planes][outputs].
struct Biases {
  Span<const int32_t> bias0, bias3;
};

inline uint8_t input_code(const Model& m, int32_t symbol) {
  return m.input_map[m.head == Head::kCategorical ? symbol : parametric_entry(symbol)];
}
// The frequencies of `count` symbols, rows of classes `stride` apart, to starts of the classes, and in one
// row more 2^14.
inline void frequencies_to_starts(int32_t* values, size_t stride, int outputs, int count) {
  int32_t* sum = values + outputs * stride;
  std::fill(sum, sum + count, 0);
  for (int o = 0; o < outputs; ++o, values += stride) {
    for (int i = 0; i < count; ++i) {
      const int32_t frequency = values[i];
      values[i] = sum[i];
      sum[i] += frequency;
    }
  }
}
inline Interval categorical_interval(const int32_t* starts, size_t stride, int32_t symbol) {
  const int32_t start = starts[symbol * stride], end = starts[(symbol + 1) * stride];
  return {static_cast<uint16_t>(start), static_cast<uint16_t>(end - start)};
}
inline LogisticTables logistic_tables(const Model& m) {
  return {m.table_radius.data(), m.offsets.data(), m.starts.data()};
}

}  // namespace pycodec::context
