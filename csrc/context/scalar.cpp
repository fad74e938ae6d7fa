// The plain backend: one position at a time, as the text says it. Activations are kept for `slots` planes and
// computed once per position, inside a border of the layer's constant so that no tap needs a test.
#include <vector>

#include "context/evaluator.h"

namespace pycodec::context {
namespace {

class Scalar final : public Evaluator {
 public:
  Scalar(const Model& model, const Biases& biases, Shape shape, Order order, int slots)
      : Evaluator(shape, order),
        model_(model),
        biases_(biases),
        slots_(slots),
        row_(shape.width + 2),
        plane_(row_ * (shape.height + 2)) {
    for (int layer = 0; layer < 4; ++layer) {
      inputs_[layer].assign(plane_ * (slots + 1) * model.inputs(layer), model.constants[layer]);
      const int inputs = model.inputs(layer), taps = kTaps[layer];
      for (int o = 0; o < model.channels(layer); ++o) {
        for (int t = 0; t < taps; ++t) {
          for (int c = 0; c < inputs; ++c)
            weights_[layer].push_back(model.weights[layer][(o * inputs + c) * taps + t]);
        }
      }
    }
    if (!model.sees_earlier_planes()) return;
    earlier_.assign(shape.plane_size() * 2 * shape.planes, 0);
    for (int d = 0; d < shape.planes; ++d) {
      for (int o = 0; o < model.width; ++o) {
        for (int e = 0; e < d; ++e) {
          const int8_t* pair = model.earlier_weights(d, e) + 2 * o;
          earlier_weights_.insert(earlier_weights_.end(), pair, pair + 2);
        }
      }
    }
  }

  void evaluate(int plane, int step, int32_t* values) override {
    for (int i = 0; i < steps().lanes(step); ++i) {
      position(plane, steps().row(step, i), steps().column(step, i), values + i);
    }
  }

  void store(int plane, int step, const uint8_t* codes) override {
    for (int i = 0; i < steps().lanes(step); ++i) {
      const int h = steps().row(step, i), w = steps().column(step, i);
      *input(0, plane, h, w) = codes[i];
      if (!model_.sees_earlier_planes()) continue;
      int16_t* seen = earlier(h, w) + 2 * plane;
      seen[0] = codes[i];
      seen[1] = magnitude(codes[i], model_.constants[0]);
    }
  }

 private:
  // Input of a layer at a position, [channels]; plane -1 is a slot of its own that stays constant.
  uint8_t* input(int layer, int plane, int h, int w) {
    const size_t slot = plane < 0 ? slots_ : plane % slots_;
    return inputs_[layer].data() + (slot * plane_ + (h + 1) * row_ + (w + 1)) * model_.inputs(layer);
  }

  // Accumulators of a layer at a position. The inputs under all taps are laid side by side first, as 16-bit
  // numbers: then every channel is one long dot product, which compilers turn into multiply-add instructions
  // of the baseline.
  void convolve(int layer, const int32_t* bias, int plane, int h, int w, int32_t* acc) {
    const int inputs = model_.inputs(layer), length = inputs * kTaps[layer];
    int16_t x[14 * kMaxWidth];
    int16_t* end = x;
    for (int t = 0; t < kTaps[layer]; ++t) {
      const Tap tap = kTapOffsets[t];
      end = std::copy_n(input(layer, plane + tap.d, h + tap.h, w + tap.w), inputs, end);
    }
    const int16_t* weights = weights_[layer].data();
    for (int o = 0; o < model_.channels(layer); ++o, weights += length) {
      int32_t sum = 0;  // at most 14 * 64 * 255 * 128
      for (int i = 0; i < length; ++i) sum += x[i] * weights[i];
      acc[o] = add(bias[o], sum);
    }
  }

  // Codes of all planes at a position, and their magnitudes: [plane][2].
  int16_t* earlier(int h, int w) {
    return earlier_.data() + (static_cast<size_t>(h) * (row_ - 2) + w) * 2 * model_.planes;
  }

  // Adds what layer 0 sees of the planes before this one.
  void add_earlier_planes(int plane, int h, int w, int32_t* acc) {
    if (!model_.sees_earlier_planes()) return;
    const int k = model_.width, length = 2 * plane;
    const int16_t* x = earlier(h, w);
    const int16_t* weights = earlier_weights_.data() + static_cast<size_t>(plane) * (plane - 1) * k;
    for (int o = 0; o < k; ++o, weights += length) {
      int32_t sum = 0;  // at most 2 * 255 * 255 * 128
      for (int i = 0; i < length; ++i) sum += x[i] * weights[i];
      acc[o] = add(acc[o], sum);
    }
  }

  void position(int plane, int h, int w, int32_t* values) {
    const int k = model_.width;
    int32_t acc[kMaxWidth];

    convolve(0, biases_.bias0.data() + static_cast<size_t>(plane) * k, plane, h, w, acc);
    add_earlier_planes(plane, h, w, acc);
    uint8_t* a = input(1, plane, h, w);
    for (int o = 0; o < k; ++o) a[o] = rescale_to_code(acc[o], model_.multipliers[0][o]);

    convolve(1, model_.bias1.data(), plane, h, w, acc);
    uint8_t* b = input(2, plane, h, w);
    for (int o = 0; o < k; ++o) b[o] = rescale_to_code(acc[o], model_.multipliers[1][o]);

    convolve(2, model_.bias2.data(), plane, h, w, acc);
    uint8_t* c = input(3, plane, h, w);
    for (int o = 0; o < k; ++o) {
      c[o] = rescale_to_code(add_residual(acc[o], a[o], model_.residual[o]), model_.multipliers[2][o]);
    }

    const int outputs = model_.outputs;
    convolve(3, biases_.bias3.data() + static_cast<size_t>(plane) * outputs, plane, h, w, acc);
    for (int o = 0; o < outputs; ++o) acc[o] = rescale(acc[o], model_.multipliers[3][o]);
    if (model_.head == Head::kCategorical) {
      int32_t frequencies[kMaxOutputs];
      categorical_frequencies(model_.exp_table.data(), outputs, acc, frequencies, 1);
      for (int o = 0; o < outputs; ++o) values[o * stride()] = frequencies[o];
    } else {
      values[0] = clamped_location(acc[0]);
      values[stride()] = clamped_scale(acc[1]);
    }
  }

  const Model& model_;
  const Biases biases_;
  const int slots_;
  const size_t row_, plane_;         // positions in a row and in a plane, border included
  std::vector<uint8_t> inputs_[4];   // [slot][h][w][channel]
  std::vector<int16_t> weights_[4];  // [out][tap][in]
  // If layer 0 sees earlier planes: [h][w][plane][2], and for plane after plane [out][earlier plane][2].
  std::vector<int16_t> earlier_, earlier_weights_;
};

}  // namespace

std::unique_ptr<Evaluator> make_scalar(const Model& model, const Biases& biases, Shape shape, Order order,
                                       int slots) {
  return std::make_unique<Scalar>(model, biases, shape, order, slots);
}

}  // namespace pycodec::context
