// From a call to launches: which programs run, over which grid.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "conv/gpu/correlation.h"
#include "conv/gpu/gpu.h"
#include "conv/gpu/weight_gradient.h"

namespace pycodec::conv::gpu {

inline bool empty(const Shape& s) { return s.batch == 0 || s.planes == 0 || s.height == 0 || s.width == 0; }

// The shape of tiles that covers a plane with the fewest of them.
inline Tiles make_tiles(const Shape& s, int step) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() - kPositions;
  const double volume = static_cast<double>(s.planes) * s.height * s.width;  // exceeds no range
  Tiles best{};
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (const int columns : {32, 24, 16, 8}) {
    const int rows = kPositions / columns;
    const int across = ceil_div(s.width, columns), down = ceil_div(s.height, rows);
    const int64_t tiles = static_cast<int64_t>(across) * down;
    if (tiles >= fewest) continue;
    fewest = tiles;
    best = {s.planes, s.height, s.width, 0, 0, step, {columns}, {columns + 2}, rows, across, down, 0, 0};
  }
  if (volume > kMost || static_cast<double>(s.batch) * s.planes * fewest > kMost) {
    throw InvalidArgument("masked_conv3d: a volume, or their number, is too large for one call on a GPU");
  }
  best.area = static_cast<uint32_t>(s.height) * s.width;
  best.channel = s.planes * best.area;
  best.items = static_cast<int>(s.batch * s.planes * fewest);
  return best;
}

// Gives each of `blocks` blocks an equal run of tiles; returns how many blocks there are then.
inline int divide(Tiles& tiles, int blocks) {
  tiles.per_block = std::max(1, ceil_div(tiles.items, std::max(1, blocks)));
  return ceil_div(tiles.items, tiles.per_block);
}

// Calls f(element type, tiles), where a block computes `tiles` times 8 outputs; both are known at compile
// time.
template <class Type, int kTiles = Type::kMostTiles, class F>
void with_tiles(int tiles, F f) {
  if constexpr (kTiles > 1) {
    if (tiles < kTiles) return with_tiles<Type, kTiles - 1>(tiles, f);
  }
  f(Type(), std::integral_constant<int, kTiles>());
}

// Chosen so that all blocks together do the least: a block's work on its inputs costs about as much as 12
// outputs do.
template <class Type, class F>
void with_tiles_for(int outputs, F f) {
  const auto cost = [&](int tiles) { return ceil_div(outputs, 8 * tiles) * (2 * tiles + 3); };
  int best = Type::kMostTiles;
  for (int tiles = best - 1; tiles > 0; --tiles) {
    if (cost(tiles) < cost(best)) best = tiles;
  }
  with_tiles<Type>(best, f);
}

template <class F>
void with_kinds(Element type, int outputs, F f) {
  if (type == Element::kFloat32) {
    with_tiles_for<Float32>(outputs, f);
  } else {
    with_tiles_for<BFloat16>(outputs, f);
  }
}

template <class Where>
void correlate(const Where& where, const Shape& s, Element type, Correlation c, int step) {
  if (empty(s) || c.outputs == 0) return;
  c.tiles = make_tiles(s, step);
  with_kinds(type, c.outputs, [&](auto element, auto tiles) {
    using Program = Correlate<decltype(element), tiles>;
    const int y = ceil_div(c.outputs, Program::kOutputs);
    const int x = divide(c.tiles, where.template blocks_at_once<Program>(Program::shared_slots(c)) / y);
    where.template run<Program>(c, x, y);
  });
}

template <class Where>
void forward(const Where& where, const Shape& s, Element type, const void* x, const void* weight,
             const void* bias, void* y, bool include_center) {
  const uint32_t input = kWeights, output = input * s.inputs;
  correlate(where, s, type,
            {x, weight, bias, y, s.inputs, s.outputs, input, output, tap_count(include_center), {}}, 1);
}

template <class Where>
void input_gradient(const Where& where, const Shape& s, Element type, const void* grad, const void* weight,
                    void* grad_x, bool include_center) {
  const uint32_t output = kWeights, input = output * s.inputs;
  correlate(
      where, s, type,
      {grad, weight, nullptr, grad_x, s.outputs, s.inputs, input, output, tap_count(include_center), {}}, -1);
}

// Decides how the sums are divided, and calls f(arguments, pairs of channels, values of each, program of step
// 1, program of step 2).
template <class Where, class F>
void with_weight_gradient(const Where& where, const Shape& s, Element type, bool include_center, F f) {
  WeightGradient w{};
  w.inputs = s.inputs;
  w.outputs = s.outputs;
  w.taps = tap_count(include_center);
  w.tiles = make_tiles(s, 1);
  with_kinds(type, s.outputs, [&](auto element, auto tiles) {
    using Program = SumGradients<decltype(element), tiles>;
    w.outputs_of_a_block = Program::kOutputs;
    const Layout<decltype(element)> layout(w);
    const int pairs = layout.pairs(s.outputs);
    const int at_once = where.template blocks_at_once<Program>(Program::shared_slots(w));
    w.blocks = divide(w.tiles, at_once / std::max(1, pairs));
    f(w, pairs, layout.values(), Program(), AddUp<decltype(element)>());
  });
}

template <class Where>
size_t workspace(const Where& where, const Shape& s, Element type, bool include_center) {
  size_t floats = 0;
  with_weight_gradient(where, s, type, include_center, [&](const auto& w, int pairs, int values, auto, auto) {
    floats = static_cast<size_t>(pairs) * w.blocks * values;
  });
  return floats;
}

template <class Where>
void weight_gradient(const Where& where, const Shape& s, Element type, const void* x, const void* grad,
                     void* grad_weight, void* grad_bias, float* workspace, bool include_center) {
  with_weight_gradient(where, s, type, include_center,
                       [&](auto& w, int pairs, int values, auto sum, auto add_up) {
                         if (pairs == 0) return;
                         w.x = x;
                         w.grad = grad;
                         w.grad_weight = grad_weight;
                         w.grad_bias = grad_bias;
                         w.partial = workspace;
                         if (w.blocks > 0) where.template run<decltype(sum)>(w, w.blocks, pairs);
                         where.template run<decltype(add_up)>(w, ceil_div(values, add_up.kValues), pairs);
                       });
}

// For the file that defines Where's members: its functions, compiled there.
#define PYCODEC_CONV_GPU_FUNCTIONS(Where)                                                                    \
  template void forward(const Where&, const Shape&, Element, const void*, const void*, const void*, void*,   \
                        bool);                                                                               \
  template void input_gradient(const Where&, const Shape&, Element, const void*, const void*, void*, bool);  \
  template size_t workspace(const Where&, const Shape&, Element, bool);                                      \
  template void weight_gradient(const Where&, const Shape&, Element, const void*, const void*, void*, void*, \
                                float*, bool)

}  // namespace pycodec::conv::gpu
