// The AVX-512 VNNI backend: 16 lanes are 16 rows of one wavefront step.
//
// Activations lie as [slot][step][group of 4 channels][row][4 bytes], so that for every tap the lanes of a
// step are contiguous, four channels to a 32-bit element: one vpdpbusd does 64 multiplications. Only rows
// that a step has are stored, counted from its first; kMargin elements of the layer's constant on both sides
// stand for what lies outside the volume. A lane beyond the step's rows computes something that is then
// overwritten by that margin.
#include <immintrin.h>

#include <cstring>
#include <vector>

#include "context/evaluator.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::context {
namespace {

constexpr int kLanes = 16;
constexpr int kMargin = kLanes;
constexpr int kMaxShift = 3;  // taps reach at most 3 steps back (this plane) or ahead (the previous one)

#define INLINE inline __attribute__((always_inline))

INLINE __m512i rescale16(__m512i acc, __m512i multiplier) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epi32(acc, multiplier), 32);
  const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(acc, 32), multiplier);
  return _mm512_mask_mov_epi32(even, 0xAAAA, odd);
}

INLINE __m512i clamp16(__m512i x, int low, int high) {
  return _mm512_min_epi32(_mm512_max_epi32(x, _mm512_set1_epi32(low)), _mm512_set1_epi32(high));
}

// Output channels first .. first + size of a layer, computed together in registers.
struct Block {
  int first, size;
  std::vector<int32_t> weights;  // [tap][group][size], four input channels a dword
};

// A layer, its output channels padded to whole blocks. Layer 0 counts as one tap with its 13 taps as
// channels.
struct Layer {
  int taps, groups;
  std::vector<Block> blocks;
  std::vector<int32_t> multipliers;
};

// The input of a layer as its first lane sees it: element of tap t and group g at base[offsets[t] + g *
// stride].
struct Input {
  const int32_t* base;
  const size_t* offsets;
  size_t stride;
};

// acc[o][v] = bias + weights * activations.
template <int NV, int NO>
INLINE void accumulate(__m512i (&acc)[NO][NV], const Layer& layer, const Block& block, const int32_t* bias,
                       const Input& in) {
#pragma GCC unroll 16
  for (int o = 0; o < NO; ++o) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[o][v] = _mm512_set1_epi32(bias[block.first + o]);
  }
  const int32_t* weights = block.weights.data();
  for (int t = 0; t < layer.taps; ++t) {
    const int32_t* row = in.base + in.offsets[t];
    for (int g = 0; g < layer.groups; ++g, row += in.stride, weights += NO) {
      __m512i x[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) x[v] = _mm512_loadu_si512(row + kLanes * v);
#pragma GCC unroll 16
      for (int o = 0; o < NO; ++o) {
        const __m512i w = _mm512_set1_epi32(weights[o]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[o][v] = _mm512_dpbusd_epi32(acc[o][v], x[v], w);
      }
    }
  }
}

// A block of a hidden layer for NV * 16 lanes: codes to out[group * stride]. `skip`, if any, is layer 0's
// output in the same layout, whose channel o is added with the factor residual[o].
template <int NV, int NO>
__attribute__((noinline)) void hidden_block(const Layer& layer, const Block& block, const int32_t* bias,
                                            Input in, const int32_t* skip, const int32_t* residual,
                                            int32_t* out, size_t stride) {
  __m512i acc[NO][NV];
  accumulate<NV, NO>(acc, layer, block, bias, in);
  const int32_t* multipliers = layer.multipliers.data() + block.first;
#pragma GCC unroll 4
  for (int g = 0; g < NO / 4; ++g) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const size_t at = (block.first / 4 + g) * stride + kLanes * v;
      if (skip != nullptr) {
        const __m512i codes = _mm512_loadu_si512(skip + at);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m512i code = _mm512_and_si512(_mm512_srli_epi32(codes, 8 * j), _mm512_set1_epi32(255));
          const __m512i factor = _mm512_set1_epi32(residual[block.first + 4 * g + j]);
          acc[4 * g + j][v] = _mm512_add_epi32(acc[4 * g + j][v], _mm512_mullo_epi32(code, factor));
        }
      }
      __m512i packed = _mm512_setzero_si512();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i multiplier = _mm512_set1_epi32(multipliers[4 * g + j]);
        const __m512i code = clamp16(rescale16(acc[4 * g + j][v], multiplier), 0, 255);
        packed = _mm512_or_si512(packed, _mm512_slli_epi32(code, 8 * j));
      }
      _mm512_storeu_si512(out + at, packed);
    }
  }
}

// A block of the last layer for NV * 16 lanes: rescaled outputs to out[channel * stride].
template <int NV, int NO>
__attribute__((noinline)) void output_block(const Layer& layer, const Block& block, const int32_t* bias,
                                            Input in, int32_t* out, size_t stride) {
  __m512i acc[NO][NV];
  accumulate<NV, NO>(acc, layer, block, bias, in);
#pragma GCC unroll 16
  for (int o = 0; o < NO; ++o) {
    const __m512i multiplier = _mm512_set1_epi32(layer.multipliers[block.first + o]);
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      _mm512_storeu_si512(out + (block.first + o) * stride + kLanes * v, rescale16(acc[o][v], multiplier));
    }
  }
}

class Wavefront final : public Evaluator {
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
    for (int layer = 0; layer < 3; ++layer) layers_[layer] = pack(layer, {12, 8, 4});
    layers_[3] = pack(3, {6, 4, 2});
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
      for (int i = 0; i < count; i += 2 * kLanes) {
        if (count - i > kLanes) {
          lanes<2>(layer, plane, i, input_offsets, offsets[13] + i, values + i);
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
  static int32_t four(uint8_t code) { return static_cast<int32_t>(code * 0x01010101u); }

  // Rows before the first step and after the last are never written: they hold the constant, like plane -1.
  size_t row_index(int plane, int step) const {
    const size_t slot = plane < 0 ? slots_ : plane % slots_;
    return slot * rows_ + step + kMaxShift;
  }

  // Packs a layer in blocks of the given sizes, widest first.
  Layer pack(int index, const std::vector<int>& sizes) const {
    const int outputs = model_.channels(index), taps = kTaps[index], inputs = model_.inputs(index);
    const auto weight = [&](int o, int t, int c) -> uint8_t {
      if (index == 0) std::swap(t, c);
      if (o >= outputs || t >= taps || c >= inputs) return 0;
      return static_cast<uint8_t>(model_.weights[index][(static_cast<size_t>(o) * inputs + c) * taps + t]);
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
            uint32_t dword = 0;
            for (int j = 0; j < 4; ++j) dword |= static_cast<uint32_t>(weight(o, t, 4 * g + j)) << (8 * j);
            block.weights.push_back(static_cast<int32_t>(dword));
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
      const auto run = b.size == 12  ? hidden_block<NV, 12>
                       : b.size == 8 ? hidden_block<NV, 8>
                                     : hidden_block<NV, 4>;
      run(layer, b, bias, in, skip, model_.residual.data(), out, row_);
    }
  }

  // The codes under layer 0's 13 taps, four taps to an element: [group of 4 taps][lane].
  template <int NV>
  static void gather(const uint8_t* codes, const size_t* offsets, int32_t* quads) {
    for (int g = 0; g < 4; ++g) {
      for (int v = 0; v < NV; ++v) {
        __m512i packed = _mm512_setzero_si512();
        for (int j = 0; j < (g < 3 ? 4 : 1); ++j) {
          const uint8_t* from = codes + offsets[4 * g + j] + kLanes * v;
          const __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
          packed = _mm512_or_si512(packed, _mm512_sllv_epi32(x, _mm512_set1_epi32(8 * j)));
        }
        _mm512_store_si512(quads + (g * NV + v) * kLanes, packed);
      }
    }
  }

  void set_margins(int layer, size_t own, int count) {
    const __m512i constant = _mm512_set1_epi32(four(model_.constants[layer]));
    int32_t* row = activations_[layer].data() + own;
    for (int g = 0; g < groups_; ++g, row += row_) {
      _mm512_storeu_si512(row - kMargin, constant);
      _mm512_storeu_si512(row + count, constant);
    }
  }

  // Rescaled outputs of 16 lanes to what evaluate() promises.
  void finish(int32_t* values) const {
    if (model_.head == Head::kParametric) {
      const __m512i location = _mm512_loadu_si512(values), scale = _mm512_loadu_si512(values + stride());
      _mm512_storeu_si512(values, clamp16(location, -kMaxLocation16, kMaxLocation16));
      _mm512_storeu_si512(values + stride(), clamp16(scale, 0, kScales - 1));
      return;
    }
    const int outputs = model_.outputs;
    __m512i top = _mm512_loadu_si512(values);
    for (int i = 1; i < outputs; ++i) top = _mm512_max_epi32(top, _mm512_loadu_si512(values + i * stride()));
    __m512i sum = _mm512_setzero_si512();
    __m512i e[kMaxOutputs];
    __m512i best = _mm512_setzero_si512();  // the first maximal logit
    __mmask16 found = 0;
    for (int i = 0; i < outputs; ++i) {
      const __m512i logit = _mm512_loadu_si512(values + i * stride());
      const __mmask16 here = _mm512_mask_cmpeq_epi32_mask(static_cast<__mmask16>(~found), logit, top);
      best = _mm512_mask_mov_epi32(best, here, _mm512_set1_epi32(i));
      found |= here;
      const __m512i distance =
          _mm512_min_epi32(_mm512_sub_epi32(top, logit), _mm512_set1_epi32(kExpEntries - 1));
      e[i] = _mm512_i32gather_epi32(distance, model_.exp_table.data(), 4);
      sum = _mm512_add_epi32(sum, e[i]);
    }
    // The quotient of integers below 2^31 in double never rounds up to the next integer, so truncation is the
    // floor of rule 5 (in float it is not).
    const __m512d numerator = _mm512_set1_pd(1 << (kPrecision + kReciprocalBits));
    const __m256i low =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_castsi512_si256(sum))));
    const __m256i high =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sum, 1))));
    const __m512i reciprocal = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    __m512i rest = _mm512_set1_epi32(kTotal);
    for (int i = 0; i < outputs; ++i) {
      e[i] = _mm512_srli_epi32(_mm512_mullo_epi32(e[i], reciprocal), kReciprocalBits);
      e[i] = _mm512_max_epi32(e[i], _mm512_set1_epi32(1));
      rest = _mm512_sub_epi32(rest, e[i]);
    }
    for (int i = 0; i < outputs; ++i) {
      const __mmask16 here = _mm512_cmpeq_epi32_mask(best, _mm512_set1_epi32(i));
      _mm512_storeu_si512(values + i * stride(), _mm512_mask_add_epi32(e[i], here, e[i], rest));
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

}  // namespace

std::unique_ptr<Evaluator> make_avx512(const Model& model, const Biases& biases, Shape shape, int slots) {
  return std::make_unique<Wavefront>(model, biases, shape, slots);
}

}  // namespace pycodec::context
