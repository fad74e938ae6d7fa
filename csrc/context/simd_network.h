// The network on SIMD registers, for one or two widths of them.
//
// Activations lie as [plane][step][group of 4 channels][lane][4 bytes], so that for every tap the lanes of a
// step are contiguous, four channels to a 32-bit element. The layer's constant on both sides stands for what
// lies outside the volume; a register's width of room there lets whole registers be loaded and stored.
//
// Most symbols of most images are zero, and the network computes only where it sees anything else. Where all
// inputs of a position are what they are in a volume at rest (every code that of layer 0's outside), so are
// its outputs, to the bit. Three positions away from every border those depend on the plane alone, so a
// volume of 7 x 7 holds them all. A set of lanes says, for each layer and step, which are not at rest. (Where
// layer 0 sees all earlier planes hardly anything is, and nobody looks.)
//
// What layer 0 sees of earlier planes lies as [code, magnitude][group of 4 planes][step][lane][4 bytes].
//
// `Registers` has the types Wide and Narrow (see layers.h) and kBlock, how many hidden channels Wide computes
// together.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "context/evaluator.h"
#include "context/lane_set.h"
#include "context/layers.h"

namespace pycodec::context {

template <class Registers>
class SimdNetwork final : public Evaluator {
  using Wide = typename Registers::Wide;
  using Narrow = typename Registers::Narrow;
  static constexpr int kMargin = Wide::kLanes;
  static constexpr int kRestSide = 7, kRestSize = kRestSide * kRestSide;

 public:
  SimdNetwork(const Model& model, const Biases& biases, Shape shape, Order order, int slots,
              bool may_rest = true)
      : Evaluator(shape, order),
        model_(model),
        shape_(shape),
        slots_(slots),
        groups_(model.width / 4),
        rows_(1 + static_cast<size_t>(slots) * steps().count()),
        row_((steps().max_lanes() + kMargin - 1) / kMargin * kMargin + 2 * kMargin),
        words_((steps().max_lanes() + kWordLanes - 1) / kWordLanes + 2),
        // Elsewhere the volume at rest costs more than it can save.
        rests_(may_rest && !model.sees_earlier_planes() && shape.height >= kRestSide &&
               shape.width >= kRestSide && shape.plane_size() >= 16 * kRestSize),
        bias0_(biases.bias0) {
    const auto sizes = {Registers::kBlock, 8, 4};
    for (int i = 0; i < 3; ++i) layers_[i] = pack_layer<Wide>(model, i, sizes);
    layers_[3] = pack_layer<Wide>(model, 3, {6, 4, 2});
    padded_outputs_ = layers_[3].multipliers.size();
    bias3_.assign(shape.planes * padded_outputs_, 0);
    for (int d = 0; d < shape.planes; ++d) {
      const int32_t* from = biases.bias3.data() + static_cast<size_t>(d) * model.outputs;
      std::copy(from, from + model.outputs, bias3_.begin() + d * padded_outputs_);
    }
    codes_.assign(rows_ * row_, model.constants[0]);
    for (int i = 1; i < 4; ++i) {
      activations_[i].assign(rows_ * groups_ * row_, four(model.constants[i]));
    }
    if (model.sees_earlier_planes()) {
      for (int d = 0; d < shape.planes; ++d)
        earlier_layers_.push_back(pack_earlier_planes<Wide>(model, d, sizes));
      earlier_.assign(2 * ((shape.planes + 3) / 4) * earlier_stride(), 0);
    }
    if (rests_) {
      for (auto& sets : awake_) sets.assign(rows_ * words_, 0);
      find_rest(biases);
    } else {
      everyone_.assign(words_, ~uint64_t{0});
    }
  }

  void evaluate(int plane, int step, int32_t* values) override {
    const int count = steps().lanes(step);
    if (count == 0) return;
    Taps taps;
    const size_t first_rows[2] = {first_row_of(plane - 1), first_row_of(plane)};
    for (int t = 0; t < 14; ++t) {
      const Tap tap = kTapOffsets[t];
      const int tap_step = steps().tap_step(step, tap), lane = steps().tap_lane(step, tap);
      const bool outside = (tap.d < 0 && plane == 0) || tap_step < 0 || tap_step >= steps().count();
      const size_t row = outside ? kOutside : first_rows[tap.d + 1] + tap_step;
      taps.codes[t] = row * row_ + kMargin + lane;
      taps.activations[t] = row * groups_ * row_ + kMargin + lane;
      taps.sets[t] = row * words_ + (lane < 0 ? 0 : 1);
      taps.shifts[t] = lane & (kWordLanes - 1);
    }
    for (int layer = 0; layer < 4; ++layer) {
      const uint64_t* lanes = everyone_.data();
      if (rests_) {
        lanes = wake(layer, taps, count);
        if (!holds_all(lanes, count)) fill_with_rest(layer, plane, step, taps.activations[13], values);
      }
      for (int i = next_lane(lanes, 0, count); i < count;) {
        const int next = next_lane(lanes, i + Narrow::kLanes, count);
        if (next >= std::min(count, i + Wide::kLanes)) {
          compute<Narrow>(layer, plane, step, i, taps, values + i);
          i = next;
        } else {
          compute<Wide>(layer, plane, step, i, taps, values + i);
          i = next_lane(lanes, i + Wide::kLanes, count);
        }
      }
      if (layer < 3) set_margin(layer + 1, taps.activations[13] + count);
    }
  }

  void store(int plane, int step, const uint8_t* codes) override {
    const size_t index = first_row_of(plane) + step;
    uint8_t* row = codes_.data() + index * row_ + kMargin;
    const int count = steps().lanes(step);
    std::copy(codes, codes + count, row);
    if (model_.sees_earlier_planes()) store_for_later_planes(plane, step, codes, count);
    if (!rests_) return;
    uint64_t* awake = awake_[0].data() + index * words_ + 1;
    std::fill(awake, awake + words_ - 2, 0);
    for (int i = 0; i < count; i += Wide::kLanes) {
      const uint64_t bits = Wide::differ(row + i, model_.constants[0]);
      awake[i / kWordLanes] |= bits << (i % kWordLanes);
    }
  }

 private:
  // Where the taps of a step's lane 0 lie: in codes_, in activations_, and in awake_ the word and the bit.
  struct Taps {
    size_t codes[14], activations[14], sets[14];
    int shifts[14];
  };

  static int32_t four(uint8_t code) { return static_cast<int32_t>(code * 0x01010101u); }

  // Row 0 is never written: it holds the constants of what is outside the volume.
  static constexpr size_t kOutside = 0;
  size_t first_row_of(int plane) const { return 1 + static_cast<size_t>(plane % slots_) * steps().count(); }

  // Finds the lanes of a layer's output that see one that is not at rest. (Layer 2 sees layer 0's output at
  // its own position through layer 1.)
  const uint64_t* wake(int layer, const Taps& taps, int count) {
    const uint64_t* input = awake_[layer].data();
    const uint64_t* own = input + taps.sets[13];
    uint64_t* awake = awake_[layer + 1].data() + taps.sets[13];
    const size_t words = words_ - 2;
    if (layer > 0 && holds_all(own, count)) {
      std::copy_n(own, words, awake);
      return awake;
    }
    for (size_t i = 0; i < words; ++i) {
      uint64_t seen = 0;
      for (int t = 0; t < kTaps[layer]; ++t) seen |= word_at(input + taps.sets[t] + i, taps.shifts[t]);
      awake[i] = seen;
    }
    return awake;
  }

  // Elements of all steps of four planes.
  size_t earlier_stride() const { return steps().count() * row_; }

  void store_for_later_planes(int plane, int step, const uint8_t* codes, int count) {
    const size_t at = plane / 4 * earlier_stride() + step * row_;
    uint8_t* values = reinterpret_cast<uint8_t*>(earlier_.data() + at) + plane % 4;
    uint8_t* magnitudes = values + earlier_.size() / 2 * sizeof(int32_t);
    for (int i = 0; i < count; ++i) {
      values[4 * i] = codes[i];
      magnitudes[4 * i] = magnitude(codes[i], model_.constants[0]);
    }
  }

  // A layer for the lanes of a register from lane i of the step.
  template <class Vec>
  void compute(int index, int plane, int step, int i, const Taps& taps, int32_t* values) {
    const Layer& layer = layers_[index];
    const size_t own = taps.activations[13] + i;
    if (index == 3) {
      const Input in{activations_[3].data() + i, taps.activations, row_};
      const int32_t* bias = bias3_.data() + plane * padded_outputs_;
      for (const Block& b : layer.blocks) {
        const auto run = b.size == 6   ? output_block<Vec, 6>
                         : b.size == 4 ? output_block<Vec, 4>
                                       : output_block<Vec, 2>;
        run(layer, b, bias, in, values, stride());
      }
      finish_outputs<Vec>(model_, values, stride());
      return;
    }
    alignas(64) int32_t quads[4 * Vec::kLanes];
    const size_t none = 0;
    Input in{activations_[index].data() + i, taps.activations, row_};
    const Layer* earlier = nullptr;
    Input earlier_in{};
    const size_t kinds[2] = {0, earlier_.size() / 2};
    const int32_t* bias = index == 1 ? model_.bias1.data() : model_.bias2.data();
    if (index == 0) {
      gather_codes<Vec>(codes_.data() + i, taps.codes, quads);
      in = {quads, &none, Vec::kLanes};
      bias = bias0_.data() + static_cast<size_t>(plane) * model_.width;
      if (plane > 0 && model_.sees_earlier_planes()) {
        earlier = &earlier_layers_[plane];
        earlier_in = {earlier_.data() + step * row_ + i, kinds, earlier_stride()};
      }
    }
    const int32_t* skip = index == 2 ? activations_[1].data() + own : nullptr;
    int32_t* out = activations_[index + 1].data() + own;
    for (size_t b = 0; b < layer.blocks.size(); ++b) {
      const int size = layer.blocks[b].size;
      const auto run = size == Registers::kBlock ? hidden_block<Vec, Registers::kBlock>
                       : size == 8               ? hidden_block<Vec, 8>
                                                 : hidden_block<Vec, 4>;
      run(layer, b, bias, in, earlier, earlier_in, skip, model_.residual.data(), out, row_);
    }
  }

  // The constant behind the last lane. (What is computed beyond it is never seen.)
  void set_margin(int layer, size_t at) {
    const int32_t constant = four(model_.constants[layer]);
    for (size_t g = 0; g < groups_; ++g) activations_[layer][at + g * row_] = constant;
  }

  // The index in 7 of a row or column that has the same borders in reach.
  static int side_index(int at, int side) {
    return at < kRestSide / 2 ? at : std::max(kRestSide / 2, at - side + kRestSide);
  }

  // A place in the volume at rest, row by row, for lanes first .. last - 1.
  struct Place {
    int first, last, index;
  };

  // What each layer gives in a volume at rest, by plane and place: [plane][place][channel], the channels
  // being groups of 4 activations, or values.
  void find_rest(const Biases& biases) {
    SimdNetwork small(model_, biases, {shape_.planes, kRestSide, kRestSide}, Order::kRows, 2, false);
    std::vector<int32_t> values(small.stride() * (padded_outputs_ + 1));
    for (int d = 0; d < shape_.planes; ++d) {
      for (int h = 0; h < kRestSide; ++h) {
        small.evaluate(d, h, values.data());
        const size_t row = (small.first_row_of(d) + h) * groups_ * small.row_ + kMargin;
        for (int w = 0; w < kRestSide; ++w) {
          for (int i = 1; i < 4; ++i) {
            const int32_t* from = small.activations_[i].data() + row + w;
            for (size_t g = 0; g < groups_; ++g) rest_[i - 1].push_back(from[g * small.row_]);
          }
          for (int o = 0; o < model_.outputs; ++o) rest_[3].push_back(values[o * small.stride() + w]);
        }
      }
    }
    for (int t = 0; t < steps().count(); ++t) {
      first_place_.push_back(places_.size());
      for (int i = 0; i < steps().lanes(t); ++i) {
        const int index = side_index(steps().row(t, i), shape_.height) * kRestSide +
                          side_index(steps().column(t, i), shape_.width);
        if (i > 0 && places_.back().index == index) {
          ++places_.back().last;
        } else {
          places_.push_back({i, i + 1, index});
        }
      }
    }
    first_place_.push_back(places_.size());
  }

  // Writes whole registers, which may reach into the places that follow.
  void fill_with_rest(int layer, int plane, int step, size_t own, int32_t* values) {
    const int channels = layer == 3 ? model_.outputs : static_cast<int>(groups_);
    const size_t stride = layer == 3 ? this->stride() : row_;
    int32_t* out = layer == 3 ? values : activations_[layer + 1].data() + own;
    const int32_t* rest = rest_[layer].data() + static_cast<size_t>(plane) * kRestSize * channels;
    for (size_t p = first_place_[step]; p < first_place_[step + 1]; ++p) {
      const Place place = places_[p];
      const int32_t* from = rest + place.index * channels;
      if (place.last - place.first == 1) {
        for (int c = 0; c < channels; ++c) out[c * stride + place.first] = from[c];
        continue;
      }
      for (int c = 0; c < channels; ++c) {
        const auto x = Wide::set1(from[c]);
        for (int i = place.first; i < place.last; i += Wide::kLanes) Wide::store(out + c * stride + i, x);
      }
    }
  }

  const Model& model_;
  const Shape shape_;
  const int slots_;
  const size_t groups_;
  const size_t rows_, row_, words_;  // rows of all slots, elements of a row, words of a row's set
  const bool rests_;
  const Span<const int32_t> bias0_;
  size_t padded_outputs_;
  std::vector<int32_t> bias3_;  // [plane][padded_outputs_]
  Layer layers_[4];
  std::vector<uint8_t> codes_;           // [row][lane]
  std::vector<int32_t> activations_[4];  // [row][group][lane]; input of layers 1, 2, 3
  // If layer 0 sees earlier planes: its weights for each plane, and the codes and the magnitudes of all.
  std::vector<Layer> earlier_layers_;
  std::vector<int32_t> earlier_;  // [code, magnitude][group of planes][step][lane]
  // Lanes that are not at rest: codes, the activations before layers 1, 2, 3, values.
  std::vector<uint64_t> awake_[5];  // [row][word], the first and the last empty
  std::vector<uint64_t> everyone_;  // a set of all lanes, if there is no rest
  // See find_rest.
  std::vector<int32_t> rest_[4];
  std::vector<Place> places_;  // of all steps, those of step t from first_place_[t] on
  std::vector<size_t> first_place_;
};

}  // namespace pycodec::context
