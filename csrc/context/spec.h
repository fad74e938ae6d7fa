// The integer masked 3D context model: arrays, geometry and arithmetic that every backend must share.
// The whole rule, in words, is docs/context-model.md; what is here is that text as code.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/span.h"

namespace pycodec::context {

constexpr int kMaxWidth = 64;      // k, channels of the hidden layers
constexpr int kMaxOutputs = 32;    // values per symbol
constexpr int kMaxPlanes = 256;    // D
constexpr int kMaxSide = 1 << 15;  // H and W
constexpr int kPrecision = 14;     // frequencies of a table sum to 2^14
constexpr uint32_t kTotal = 1u << kPrecision;
constexpr int kScales = 64;     // scale indexes of the parametric head
constexpr int kFractions = 16;  // locations come in sixteenths
constexpr int kMaxLocation16 = 1 << 20;
constexpr int kMaxSymbol = 1 << 20;  // |y| of the parametric head
constexpr int kExpEntries = 2048;    // logits of the categorical head come in 1/64 nat, clamped at 32 nat
constexpr int kMaxExp = 4096;        // stored value of exp(0)
constexpr int kReciprocalBits = 15;  // rule 5
constexpr std::array<int, 4> kTaps = {13, 14, 14, 14};

enum class Head { kCategorical, kParametric };

// One causal tap: offsets in plane, row and column.
struct Tap {
  int d, h, w;
};
// The nine of the previous plane, then three above, left and (not in layer 0) the centre.
constexpr std::array<Tap, 14> kTapOffsets = {{{-1, -1, -1},
                                              {-1, -1, 0},
                                              {-1, -1, 1},
                                              {-1, 0, -1},
                                              {-1, 0, 0},
                                              {-1, 0, 1},
                                              {-1, 1, -1},
                                              {-1, 1, 0},
                                              {-1, 1, 1},
                                              {0, -1, -1},
                                              {0, -1, 0},
                                              {0, -1, 1},
                                              {0, 0, -1},
                                              {0, 0, 0}}};

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
  std::vector<int32_t> exp_table;          // categorical: [2048]
  std::vector<uint8_t> table_radius;       // parametric: [64 * 16]
  std::vector<int16_t> table_frequencies;  // parametric: 2 * radius + 2 per table

  // Made by prepare(): for table i, starts[offsets[i]] = 0, then the running sums up to 2^14.
  std::vector<uint16_t> starts;
  std::vector<uint32_t> offsets;

  // Checks every size and every value that memory safety rests on, and fills the derived arrays.
  // Throws InvalidArgument.
  void prepare();

  int inputs(int layer) const { return layer == 0 ? 1 : width; }
  int channels(int layer) const { return layer == 3 ? outputs : width; }
};

// Symbols of one image: planes x height x width, row-major.
struct Shape {
  int planes, height, width;
  size_t plane_size() const { return static_cast<size_t>(height) * width; }
  size_t size() const { return planes * plane_size(); }
};

// Biases of one image, interpolated between qualities: bias0 [planes][k], bias3 [planes][outputs].
struct Biases {
  Span<const int32_t> bias0, bias3;
};

// --- Geometry of the wavefront: step t of a plane holds the symbols with 2 h + w == t, in rising h. ---

inline int step_count(Shape s) { return 2 * (s.height - 1) + s.width; }
inline int first_row(Shape s, int t) { return t < s.width ? 0 : (t - s.width + 2) >> 1; }
inline int last_row(Shape s, int t) { return std::min(s.height - 1, t >> 1); }
// Symbols of a step; 0 is possible when the volume is one column wide.
inline int rows_in_step(Shape s, int t) { return std::max(0, last_row(s, t) - first_row(s, t) + 1); }
inline int max_rows_in_step(Shape s) { return std::min(s.height, (s.width + 1) / 2); }
// Plane d may compute step t once plane d - 1 has completed steps 0 .. t + 3.
constexpr int kPlaneLag = 4;

// --- Arithmetic ---

// Rule 3 without its clamp.
inline int32_t rescale(int32_t acc, int32_t multiplier) {
  return static_cast<int32_t>((static_cast<int64_t>(acc) * multiplier) >> 32);
}
inline uint8_t rescale_to_code(int32_t acc, int32_t multiplier) {
  return static_cast<uint8_t>(std::clamp(rescale(acc, multiplier), 0, 255));
}

inline uint8_t input_code(const Model& m, int32_t symbol) {
  return m.input_map[m.head == Head::kCategorical ? symbol : std::clamp(symbol, -128, 127) + 128];
}

// Rules 4 and 5: frequencies of `outputs` logits, both `stride` elements apart.
void categorical_frequencies(const Model& m, const int32_t* logits, int32_t* frequencies, size_t stride);

// The class of a residual: 0, then by magnitude, the side the location leans to (sixteenth >= 8: up) first.
inline int residual_class(int32_t residual, int sixteenth) {
  const bool nearer = (residual > 0) == (sixteenth >= 8);
  return residual == 0 ? 0 : 2 * std::abs(residual) - (nearer ? 1 : 0);
}
inline int32_t class_residual(int index, int sixteenth) {
  const int magnitude = (index + 1) >> 1;
  return ((index & 1) != 0) == (sixteenth >= 8) ? magnitude : -magnitude;
}

}  // namespace pycodec::context
