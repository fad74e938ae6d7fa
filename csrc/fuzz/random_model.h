// Context models with random weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "context/context.h"
#include "fuzz/random.h"

namespace pycodec::fuzz {

inline int32_t random_symbol(Random& random, const context::Model& m) {
  if (m.head == context::Head::kCategorical) return random.between(0, m.outputs - 1);
  // Two statements, for compilers differ in which factor they would draw first.
  const int mantissa = random.between(-4, 4);
  return mantissa * (1 << random.between(0, 17));
}

inline context::Model random_model(Random& random, context::Head head, int width, int outputs,
                                   int max_radius = 63) {
  using namespace context;
  Model m;
  m.head = head;
  m.width = width;
  m.outputs = outputs;
  for (int i = 0; i < (head == Head::kCategorical ? outputs : 256); ++i) {
    m.input_map.push_back(static_cast<uint8_t>(random.between(0, 255)));
  }
  for (int layer = 0; layer < 4; ++layer) {
    const int count = m.channels(layer) * m.inputs(layer) * kTaps[layer];
    for (int i = 0; i < count; ++i)
      m.weights[layer].push_back(static_cast<int8_t>(random.between(-128, 127)));
    for (int i = 0; i < m.channels(layer); ++i)
      m.multipliers[layer].push_back(random.between(1 << 20, 1 << 24));
    m.constants[layer] = static_cast<uint8_t>(random.between(0, 255));
  }
  for (int i = 0; i < width; ++i) {
    m.bias1.push_back(random.between(-20000, 40000));
    m.bias2.push_back(random.between(-20000, 40000));
    m.residual.push_back(random.between(-200, 200));
  }
  if (head == Head::kCategorical) {
    for (int i = 0; i < kExpEntries; ++i) m.exp_table.push_back(kMaxExp >> std::min(i / 45, 13));
  } else {
    for (int i = 0; i < kScales * kFractions; ++i) {
      const int radius = std::min(i / kFractions, max_radius);
      m.table_radius.push_back(static_cast<uint8_t>(radius));
      for (int j = 0; j < 2 * radius + 2; ++j) {
        m.table_frequencies.push_back(static_cast<int16_t>(j == 0 ? kTotal - (2 * radius + 1) : 1));
      }
    }
  }
  return m;
}

// A volume, its biases and symbols that fit a model.
struct Volume {
  Volume(Random& random, const context::Model& m, context::Shape s) : shape(s) {
    for (int i = 0; i < s.planes * m.width; ++i) bias0.push_back(random.between(-5000, 20000));
    for (int i = 0; i < s.planes * m.outputs; ++i) bias3.push_back(random.between(-50000, 50000));
    for (size_t i = 0; i < s.size(); ++i) symbols.push_back(random_symbol(random, m));
  }
  context::Biases biases() const { return {bias0, bias3}; }

  context::Shape shape;
  std::vector<int32_t> bias0, bias3, symbols;
};

}  // namespace pycodec::fuzz
