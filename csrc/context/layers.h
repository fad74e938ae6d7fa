// Layers of the network on SIMD registers whose lanes are symbols next to each other in a step.
//
// `Vec` is a register with kLanes elements and these functions; it lies in the anonymous namespace of the
// file of its SIMD level, so that no code compiled for one level is linked into another:
//   Source, source(p)           elements at p as dot wants them
//   kWeights, pack(bytes, p)    int32s that hold the four signed weights of an element, and writing them
//   dot(sum, source, weights)   sum + the four products of each element, unsigned by signed
//   rescale(sum, multiplier)    rule 3 without its clamp
//   join(a, b, c, d)            the four clamped to 0 .. 255, as the bytes of each element, a lowest
//   byte<j>(x), bytes(p)        byte j of each element, and kLanes bytes widened
//   differ(p, code)             bit set of the kLanes bytes at p that are not `code`
//   load, store, set1, zero, add, sub, mul, min, max, either, choose_equal, gather,
//   shift_left<n>, shift_right<n>     as their names say; shifts are logical
//   reciprocal                  floor of 2^29 / x
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "context/spec.h"

namespace pycodec::context {

#define INLINE inline __attribute__((always_inline))

// Output channels first .. first + size of a layer, computed together in registers.
struct Block {
  int first, size;
  std::vector<int32_t> weights;  // [tap][group][size][Vec::kWeights]
};

// A layer, its output channels padded to whole blocks; inputs come in groups of four channels, the bytes of
// an element. Layer 0 counts as one tap with its 13 taps as channels.
struct Layer {
  int taps, groups;
  std::vector<Block> blocks;
  std::vector<int32_t> multipliers;
};

// The input of a layer as its first lane sees it: tap t and group g are at base[offsets[t] + g * stride].
struct Input {
  const int32_t* base;
  const size_t* offsets;
  size_t stride;
};

// A layer in blocks of the given sizes, the widest that fit. weight(output, tap, input) gives its weights, 0
// beyond the last output or input.
template <class Vec, class Weight>
Layer pack_weights(int outputs, int taps, int groups, std::initializer_list<int> sizes,
                   const Weight& weight) {
  Layer layer{taps, groups, {}, {}};
  for (int first = 0; first < outputs;) {
    Block block{first, *std::min_element(sizes.begin(), sizes.end()), {}};
    for (int size : sizes) {
      if (size <= outputs - first) block.size = std::max(block.size, size);
    }
    block.weights.resize(static_cast<size_t>(layer.taps) * layer.groups * block.size * Vec::kWeights);
    int32_t* next = block.weights.data();
    for (int t = 0; t < layer.taps; ++t) {
      for (int g = 0; g < layer.groups; ++g) {
        for (int o = first; o < first + block.size; ++o, next += Vec::kWeights) {
          int8_t bytes[4];
          for (int j = 0; j < 4; ++j) bytes[j] = weight(o, t, 4 * g + j);
          Vec::pack(bytes, next);
        }
      }
    }
    first += block.size;
    layer.blocks.push_back(std::move(block));
    layer.multipliers.resize(first, 0);
  }
  return layer;
}

// Layer `index` of a model.
template <class Vec>
Layer pack_layer(const Model& model, int index, std::initializer_list<int> sizes) {
  const int outputs = model.channels(index), taps = kTaps[index], inputs = model.inputs(index);
  const auto weight = [&](int o, int t, int c) -> int8_t {
    if (index == 0) std::swap(t, c);
    if (o >= outputs || t >= taps || c >= inputs) return 0;
    return model.weights[index][(static_cast<size_t>(o) * inputs + c) * taps + t];
  };
  Layer layer = pack_weights<Vec>(outputs, index == 0 ? 1 : taps, index == 0 ? 4 : inputs / 4, sizes, weight);
  std::copy(model.multipliers[index].begin(), model.multipliers[index].end(), layer.multipliers.begin());
  return layer;
}

// What a plane's layer 0 sees of the planes before it: their codes as one tap, their magnitudes as another.
template <class Vec>
Layer pack_earlier_planes(const Model& model, int plane, std::initializer_list<int> sizes) {
  return pack_weights<Vec>(model.width, 2, (plane + 3) / 4, sizes, [&](int o, int kind, int e) -> int8_t {
    return o < model.width && e < plane ? model.earlier_weights(plane, e)[2 * o + kind] : int8_t{0};
  });
}

// sum[o] = bias.
template <class Vec, int NO>
INLINE void start(typename Vec::Type (&sum)[NO], const Block& block, const int32_t* bias) {
#pragma GCC unroll 24
  for (int o = 0; o < NO; ++o) sum[o] = Vec::set1(bias[block.first + o]);
}

// sum[o] += weights * activations. Few outputs are summed in several parts, since an instruction can start
// before the one whose sum it adds to ends only if there are other sums.
template <class Vec, int NO>
INLINE void accumulate(typename Vec::Type (&sum)[NO], const Layer& layer, const Block& block,
                       const Input& in) {
  constexpr int kParts = NO >= 8 ? 1 : (7 + NO) / NO;
  typename Vec::Type part[kParts][NO];
#pragma GCC unroll 24
  for (int o = 0; o < NO; ++o) {
    part[0][o] = sum[o];
#pragma GCC unroll 4
    for (int p = 1; p < kParts; ++p) part[p][o] = Vec::zero();
  }
  const int32_t* weights = block.weights.data();
  for (int t = 0; t < layer.taps; ++t) {
    const int32_t* row = in.base + in.offsets[t];
    for (int first = 0; first < layer.groups; first += kParts) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p, row += in.stride, weights += NO * Vec::kWeights) {
        if (kParts > 1 && first + p == layer.groups) break;
        const typename Vec::Source x = Vec::source(row);
#pragma GCC unroll 24
        for (int o = 0; o < NO; ++o) part[p][o] = Vec::dot(part[p][o], x, weights + o * Vec::kWeights);
      }
    }
  }
#pragma GCC unroll 24
  for (int o = 0; o < NO; ++o) {
    sum[o] = part[0][o];
#pragma GCC unroll 4
    for (int p = 1; p < kParts; ++p) sum[o] = Vec::add(sum[o], part[p][o]);
  }
}

// A block of a hidden layer: codes to out[group * stride]. `more`, if any, is a layer with the same blocks
// whose sums for the input `more_in` are added. `skip`, if any, is layer 0's output in the layout of `out`,
// whose channel o is added with the factor residual[o].
template <class Vec, int NO>
__attribute__((noinline)) void hidden_block(const Layer& layer, size_t index, const int32_t* bias, Input in,
                                            const Layer* more, Input more_in, const int32_t* skip,
                                            const int32_t* residual, int32_t* out, size_t stride) {
  const Block& block = layer.blocks[index];
  typename Vec::Type sum[NO];
  start<Vec>(sum, block, bias);
  accumulate<Vec>(sum, layer, block, in);
  if (more != nullptr) accumulate<Vec>(sum, *more, more->blocks[index], more_in);
  const int32_t* multipliers = layer.multipliers.data() + block.first;
  out += block.first / 4 * stride;
  if (skip != nullptr) {
    skip += block.first / 4 * stride;
    residual += block.first;
#pragma GCC unroll 6
    for (int o = 0; o < NO; o += 4) {
      const auto codes = Vec::load(skip + o / 4 * stride);
      const auto add = [&](auto& s, auto code, int i) {
        s = Vec::add(s, Vec::mul(code, Vec::set1(residual[i])));
      };
      add(sum[o], Vec::template byte<0>(codes), o);
      add(sum[o + 1], Vec::template byte<1>(codes), o + 1);
      add(sum[o + 2], Vec::template byte<2>(codes), o + 2);
      add(sum[o + 3], Vec::template byte<3>(codes), o + 3);
    }
  }
#pragma GCC unroll 6
  for (int o = 0; o < NO; o += 4) {
    const auto scaled = [&](int i) { return Vec::rescale(sum[i], Vec::set1(multipliers[i])); };
    Vec::store(out + o / 4 * stride, Vec::join(scaled(o), scaled(o + 1), scaled(o + 2), scaled(o + 3)));
  }
}

// A block of the last layer: rescaled outputs to out[channel * stride].
template <class Vec, int NO>
__attribute__((noinline)) void output_block(const Layer& layer, const Block& block, const int32_t* bias,
                                            Input in, int32_t* out, size_t stride) {
  typename Vec::Type sum[NO];
  start<Vec>(sum, block, bias);
  accumulate<Vec>(sum, layer, block, in);
#pragma GCC unroll 6
  for (int o = 0; o < NO; ++o) {
    const auto multiplier = Vec::set1(layer.multipliers[block.first + o]);
    Vec::store(out + (block.first + o) * stride, Vec::rescale(sum[o], multiplier));
  }
}

// The codes under layer 0's 13 taps, four taps to an element: quads[group of 4 taps][lane].
template <class Vec>
void gather_codes(const uint8_t* codes, const size_t* offsets, int32_t* quads) {
  for (int g = 0; g < 3; ++g, quads += Vec::kLanes, offsets += 4) {
    const auto low = Vec::either(Vec::bytes(codes + offsets[0]),
                                 Vec::template shift_left<8>(Vec::bytes(codes + offsets[1])));
    const auto high = Vec::either(Vec::bytes(codes + offsets[2]),
                                  Vec::template shift_left<8>(Vec::bytes(codes + offsets[3])));
    Vec::store(quads, Vec::either(low, Vec::template shift_left<16>(high)));
  }
  Vec::store(quads, Vec::bytes(codes + offsets[0]));
}

// Rescaled outputs of kLanes lanes to tables: rules 4 and 5, or the clamps of the parametric head.
template <class Vec>
void finish_outputs(const Model& model, int32_t* values, size_t stride) {
  using Type = typename Vec::Type;
  const auto clamp = [&](int32_t* row, int low, int high) {
    Vec::store(row, Vec::min(Vec::max(Vec::load(row), Vec::set1(low)), Vec::set1(high)));
  };
  if (model.head == Head::kParametric) {
    clamp(values, -kMaxLocation16, kMaxLocation16);
    clamp(values + stride, 0, kScales - 1);
    return;
  }
  const int outputs = model.outputs;
  Type top = Vec::load(values);
  for (int i = 1; i < outputs; ++i) top = Vec::max(top, Vec::load(values + i * stride));
  Type sum = Vec::zero(), e[kMaxOutputs];
  Type best = Vec::zero();  // the first maximal logit
  for (int i = outputs - 1; i >= 0; --i) {
    const Type logit = Vec::load(values + i * stride);
    best = Vec::choose_equal(logit, top, Vec::set1(i), best);
    const Type distance = Vec::min(Vec::sub(top, logit), Vec::set1(kExpEntries - 1));
    e[i] = Vec::gather(model.exp_table.data(), distance);
    sum = Vec::add(sum, e[i]);
  }
  static_assert(kPrecision + kReciprocalBits == 29);
  const Type reciprocal = Vec::reciprocal(sum);
  Type rest = Vec::set1(kTotal);
  for (int i = 0; i < outputs; ++i) {
    e[i] = Vec::max(Vec::template shift_right<kReciprocalBits>(Vec::mul(e[i], reciprocal)), Vec::set1(1));
    rest = Vec::sub(rest, e[i]);
  }
  for (int i = 0; i < outputs; ++i) {
    const Type extra = Vec::choose_equal(best, Vec::set1(i), rest, Vec::zero());
    Vec::store(values + i * stride, Vec::add(e[i], extra));
  }
}

#undef INLINE

}  // namespace pycodec::context
