// The network on SIMD registers whose lanes are rows of one wavefront step, for any register width.
//
// Activations lie as [slot][step][group of 4 channels][row][4 bytes], so that for every tap the lanes of a
// step are contiguous, four channels to a 32-bit element. Only rows that a step has are stored, counted from
// its first; a register's width of the layer's constant on both sides stands for what lies outside the
// volume. A lane beyond the step's rows computes something that is then overwritten by that margin.
//
// `Vec` is a register with kLanes elements and these functions; it lies in the anonymous namespace of the
// file of its SIMD level, so that no code compiled for one level is linked into another:
//   kVectors                    registers of lanes that are computed together
//   kHidden, kOutputs           output channels that are computed together, widest first
//   Source, source(p)           elements at p as dot wants them
//   kWeights, pack(bytes, p)    int32s that hold the four signed weights of an element, and writing them
//   dot(sum, source, weights)   sum + the four products of each element, unsigned by signed
//   rescale(sum, multiplier)    rule 3 without its clamp
//   load, store, set1, zero, add, sub, mul, min, max, either, low_byte, bytes, shift_left, shift_right,
//   choose_equal, gather, reciprocal          as their names say; shifts are logical, bytes() widens kLanes
//   of them, and
//                               reciprocal is the floor of 2^29 / x
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "context/evaluator.h"

namespace pycodec::context {

constexpr int kMaxShift = 3;  // taps reach at most 3 steps back (this plane) or ahead (the previous one)

#define INLINE inline __attribute__((always_inline))

template <class Vec>
class Wavefront final : public Evaluator {
  using Type = typename Vec::Type;
  static constexpr int kLanes = Vec::kLanes, kMargin = kLanes;

 public:
  Wavefront(const Model& model, const Biases& biases, Shape shape, int slots)
      : Evaluator(shape),
        model_(model),
        shape_(shape),
        slots_(slots),
        groups_(model.width / 4),
        rows_(step_count(shape) + 2 * kMaxShift),
        row_((max_rows_in_step(shape) + kLanes - 1) / kLanes * kLanes + 2 * kMargin),
        bias0_(biases.bias0) {
    for (int layer = 0; layer < 3; ++layer)
      layers_[layer] = pack(layer, {std::begin(Vec::kHidden), std::end(Vec::kHidden)});
    layers_[3] = pack(3, {std::begin(Vec::kOutputs), std::end(Vec::kOutputs)});
    padded_outputs_ = layers_[3].multipliers.size();
    bias3_.assign(shape.planes * padded_outputs_, 0);
    for (int d = 0; d < shape.planes; ++d) {
      const int32_t* from = biases.bias3.data() + static_cast<size_t>(d) * model.outputs;
      std::copy(from, from + model.outputs, bias3_.begin() + d * padded_outputs_);
    }
    codes_.assign((slots + 1) * rows_ * row_, model.constants[0]);
    for (int layer = 1; layer < 4; ++layer) {
      activations_[layer].assign((slots + 1) * rows_ * groups_ * row_, four(model.constants[layer]));
    }
  }

  void evaluate(int plane, int step, int32_t* values) override {
    size_t code_offsets[14], offsets[14];
    for (int t = 0; t < 14; ++t) {
      const Tap tap = kTapOffsets[t];
      const int u = step + 2 * tap.h + tap.w;
      const size_t lane0 = kMargin + first_row(shape_, step) + tap.h - first_row(shape_, u);
      code_offsets[t] = row_index(plane + tap.d, u) * row_ + lane0;
      offsets[t] = row_index(plane + tap.d, u) * groups_ * row_ + lane0;
    }
    const int count = rows_in_step(shape_, step);
    for (int layer = 0; layer < 4; ++layer) {
      const size_t* input_offsets = layer == 0 ? code_offsets : offsets;
      for (int i = 0; i < count; i += Vec::kVectors * kLanes) {
        if (count - i > (Vec::kVectors - 1) * kLanes) {
          lanes<Vec::kVectors>(layer, plane, i, input_offsets, offsets[13] + i, values + i);
        } else {
          lanes<1>(layer, plane, i, input_offsets, offsets[13] + i, values + i);
        }
      }
      if (layer < 3) set_margins(layer + 1, offsets[13], count);
    }
    for (int i = 0; i < count; i += kLanes) finish(values + i);
  }

  void store(int plane, int step, const uint8_t* codes) override {
    uint8_t* row = codes_.data() + row_index(plane, step) * row_;
    const int count = rows_in_step(shape_, step);
    std::memset(row, model_.constants[0], kMargin);
    std::memcpy(row + kMargin, codes, count);
    std::memset(row + kMargin + count, model_.constants[0], kMargin);
  }

 private:
  // Output channels first .. first + size of a layer, computed together in registers.
  struct Block {
    int first, size;
    std::vector<int32_t> weights;  // [tap][group][size][Vec::kWeights]
  };

  // A layer, its output channels padded to whole blocks. Layer 0 counts as one tap with its 13 taps as
  // channels.
  struct Layer {
    int taps, groups;
    std::vector<Block> blocks;
    std::vector<int32_t> multipliers;
  };

  // The input of a layer as its first lane sees it: element of tap t and group g at
  // base[offsets[t] + g * stride].
  struct Input {
    const int32_t* base;
    const size_t* offsets;
    size_t stride;
  };

  // sum[o][v] = bias + weights * activations.
  template <int NV, int NO>
  static INLINE void accumulate(Type (&sum)[NO][NV], const Layer& layer, const Block& block,
                                const int32_t* bias, const Input& in) {
#pragma GCC unroll 16
    for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[o][v] = Vec::set1(bias[block.first + o]);
    }
    const int32_t* weights = block.weights.data();
    for (int t = 0; t < layer.taps; ++t) {
      const int32_t* row = in.base + in.offsets[t];
      for (int g = 0; g < layer.groups; ++g, row += in.stride, weights += NO * Vec::kWeights) {
        typename Vec::Source x[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) x[v] = Vec::source(row + kLanes * v);
#pragma GCC unroll 16
        for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) sum[o][v] = Vec::dot(sum[o][v], x[v], weights + o * Vec::kWeights);
        }
      }
    }
  }

  // A block of a hidden layer for NV * kLanes lanes: codes to out[group * stride]. `skip`, if any, is layer
  // 0's output in the same layout, whose channel o is added with the factor residual[o].
  template <int NV, int NO>
  static __attribute__((noinline)) void hidden_block(const Layer& layer, const Block& block,
                                                     const int32_t* bias, Input in, const int32_t* skip,
                                                     const int32_t* residual, int32_t* out, size_t stride) {
    Type sum[NO][NV];
    accumulate<NV, NO>(sum, layer, block, bias, in);
    const int32_t* multipliers = layer.multipliers.data() + block.first;
#pragma GCC unroll 4
    for (int g = 0; g < NO / 4; ++g) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const size_t at = (block.first / 4 + g) * stride + kLanes * v;
        if (skip != nullptr) {
          const Type codes = Vec::load(skip + at);
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            const Type code = Vec::low_byte(Vec::shift_right(codes, 8 * j));
            const Type factor = Vec::set1(residual[block.first + 4 * g + j]);
            sum[4 * g + j][v] = Vec::add(sum[4 * g + j][v], Vec::mul(code, factor));
          }
        }
        Type packed = Vec::zero();
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const Type code = Vec::rescale(sum[4 * g + j][v], Vec::set1(multipliers[4 * g + j]));
          packed = Vec::either(packed, Vec::shift_left(clamp(code, 0, 255), 8 * j));
        }
        Vec::store(out + at, packed);
      }
    }
  }

  // A block of the last layer for NV * kLanes lanes: rescaled outputs to out[channel * stride].
  template <int NV, int NO>
  static __attribute__((noinline)) void output_block(const Layer& layer, const Block& block,
                                                     const int32_t* bias, Input in, int32_t* out,
                                                     size_t stride) {
    Type sum[NO][NV];
    accumulate<NV, NO>(sum, layer, block, bias, in);
#pragma GCC unroll 16
    for (int o = 0; o < NO; ++o) {
      const Type multiplier = Vec::set1(layer.multipliers[block.first + o]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        Vec::store(out + (block.first + o) * stride + kLanes * v, Vec::rescale(sum[o][v], multiplier));
      }
    }
  }

  static INLINE Type clamp(Type x, int low, int high) {
    return Vec::min(Vec::max(x, Vec::set1(low)), Vec::set1(high));
  }

  static int32_t four(uint8_t code) { return static_cast<int32_t>(code * 0x01010101u); }

  // Rows before the first step and after the last are never written: they hold the constant, like plane -1.
  size_t row_index(int plane, int step) const {
    const size_t slot = plane < 0 ? slots_ : plane % slots_;
    return slot * rows_ + step + kMaxShift;
  }

  // Packs a layer in blocks of the given sizes, widest first.
  Layer pack(int index, const std::vector<int>& sizes) const {
    const int outputs = model_.channels(index), taps = kTaps[index], inputs = model_.inputs(index);
    const auto weight = [&](int o, int t, int c) -> int8_t {
      if (index == 0) std::swap(t, c);
      if (o >= outputs || t >= taps || c >= inputs) return 0;
      return model_.weights[index][(static_cast<size_t>(o) * inputs + c) * taps + t];
    };
    Layer layer{index == 0 ? 1 : taps, index == 0 ? 4 : groups_, {}, {}};
    for (int first = 0; first < outputs;) {
      Block block{first, sizes.back(), {}};
      for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
        if (*size <= outputs - first) block.size = *size;
      }
      for (int t = 0; t < layer.taps; ++t) {
        for (int g = 0; g < layer.groups; ++g) {
          for (int o = first; o < first + block.size; ++o) {
            int8_t bytes[4];
            for (int j = 0; j < 4; ++j) bytes[j] = weight(o, t, 4 * g + j);
            block.weights.resize(block.weights.size() + Vec::kWeights);
            Vec::pack(bytes, block.weights.data() + block.weights.size() - Vec::kWeights);
          }
        }
      }
      first += block.size;
      layer.blocks.push_back(std::move(block));
      layer.multipliers.resize(first, 0);
    }
    std::copy(model_.multipliers[index].begin(), model_.multipliers[index].end(), layer.multipliers.begin());
    return layer;
  }

  // NV * 16 lanes of a layer from lane i of the step; `own` is the element of lane i in this step's own row.
  template <int NV>
  void lanes(int index, int plane, int i, const size_t* offsets, size_t own, int32_t* values) {
    const Layer& layer = layers_[index];
    if (index == 3) {
      const Input in{activations_[3].data() + i, offsets, row_};
      const int32_t* bias = bias3_.data() + plane * padded_outputs_;
      for (const Block& b : layer.blocks) {
        const auto run = b.size == 6   ? output_block<NV, 6>
                         : b.size == 4 ? output_block<NV, 4>
                                       : output_block<NV, 2>;
        run(layer, b, bias, in, values, stride());
      }
      return;
    }
    alignas(64) int32_t quads[4 * NV * kLanes];
    const size_t none = 0;
    Input in{activations_[index].data() + i, offsets, row_};
    const int32_t* bias = index == 1 ? model_.bias1.data() : model_.bias2.data();
    if (index == 0) {
      gather<NV>(codes_.data() + i, offsets, quads);
      in = {quads, &none, NV * kLanes};
      bias = bias0_.data() + static_cast<size_t>(plane) * model_.width;
    }
    const int32_t* skip = index == 2 ? activations_[1].data() + own : nullptr;
    int32_t* out = activations_[index + 1].data() + own;
    for (const Block& b : layer.blocks) {
      const auto run = b.size == Vec::kHidden[0] ? hidden_block<NV, Vec::kHidden[0]>
                       : b.size == 8             ? hidden_block<NV, 8>
                                                 : hidden_block<NV, 4>;
      run(layer, b, bias, in, skip, model_.residual.data(), out, row_);
    }
  }

  // The codes under layer 0's 13 taps, four taps to an element: [group of 4 taps][lane].
  template <int NV>
  static void gather(const uint8_t* codes, const size_t* offsets, int32_t* quads) {
    for (int g = 0; g < 4; ++g) {
      for (int v = 0; v < NV; ++v) {
        Type packed = Vec::zero();
        for (int j = 0; j < (g < 3 ? 4 : 1); ++j) {
          const Type x = Vec::bytes(codes + offsets[4 * g + j] + kLanes * v);
          packed = Vec::either(packed, Vec::shift_left(x, 8 * j));
        }
        Vec::store(quads + (g * NV + v) * kLanes, packed);
      }
    }
  }

  void set_margins(int layer, size_t own, int count) {
    const Type constant = Vec::set1(four(model_.constants[layer]));
    int32_t* row = activations_[layer].data() + own;
    for (int g = 0; g < groups_; ++g, row += row_) {
      Vec::store(row - kMargin, constant);
      Vec::store(row + count, constant);
    }
  }

  // Rescaled outputs of kLanes lanes to what evaluate() promises.
  void finish(int32_t* values) const {
    if (model_.head == Head::kParametric) {
      Vec::store(values, clamp(Vec::load(values), -kMaxLocation16, kMaxLocation16));
      Vec::store(values + stride(), clamp(Vec::load(values + stride()), 0, kScales - 1));
      return;
    }
    const int outputs = model_.outputs;
    Type top = Vec::load(values);
    for (int i = 1; i < outputs; ++i) top = Vec::max(top, Vec::load(values + i * stride()));
    Type sum = Vec::zero(), e[kMaxOutputs];
    Type best = Vec::zero();  // the first maximal logit
    for (int i = outputs - 1; i >= 0; --i) {
      const Type logit = Vec::load(values + i * stride());
      best = Vec::choose_equal(logit, top, Vec::set1(i), best);
      const Type distance = Vec::min(Vec::sub(top, logit), Vec::set1(kExpEntries - 1));
      e[i] = Vec::gather(model_.exp_table.data(), distance);
      sum = Vec::add(sum, e[i]);
    }
    static_assert(kPrecision + kReciprocalBits == 29);
    const Type reciprocal = Vec::reciprocal(sum);
    Type rest = Vec::set1(kTotal);
    for (int i = 0; i < outputs; ++i) {
      e[i] = Vec::max(Vec::shift_right(Vec::mul(e[i], reciprocal), kReciprocalBits), Vec::set1(1));
      rest = Vec::sub(rest, e[i]);
    }
    for (int i = 0; i < outputs; ++i) {
      const Type extra = Vec::choose_equal(best, Vec::set1(i), rest, Vec::zero());
      Vec::store(values + i * stride(), Vec::add(e[i], extra));
    }
  }

  const Model& model_;
  const Shape shape_;
  const int slots_;
  const int groups_;
  const size_t rows_, row_;  // rows of a slot, elements of a row
  const Span<const int32_t> bias0_;
  size_t padded_outputs_;
  std::vector<int32_t> bias3_;  // [plane][padded_outputs_]
  Layer layers_[4];
  std::vector<uint8_t> codes_;           // [slot][step][row]
  std::vector<int32_t> activations_[4];  // [slot][step][group][row]; input of layers 1, 2, 3
};

#undef INLINE

}  // namespace pycodec::context
