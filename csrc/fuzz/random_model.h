// Seeded random numbers, and context models with random weights.
#pragma once

#include <algorithm>
#include <cstdint>

#include "context/spec.h"

namespace pycodec::context {

inline uint64_t state = 1;
inline int random_between(int low, int high) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return low +
         static_cast<int>((state * 0x2545F4914F6CDD1DULL >> 33) % static_cast<uint64_t>(high - low + 1));
}

inline int random_symbol(Head head) {
  if (head == Head::kCategorical) return random_between(0, 5);
  // Two statements, for compilers differ in which factor they would draw first.
  const int mantissa = random_between(-4, 4);
  return mantissa * (1 << random_between(0, 17));
}

inline Model random_model(Head head, int width, int outputs) {
  Model m;
  m.head = head;
  m.width = width;
  m.outputs = outputs;
  for (int i = 0; i < (head == Head::kCategorical ? outputs : 256); ++i) {
    m.input_map.push_back(static_cast<uint8_t>(random_between(0, 255)));
  }
  for (int layer = 0; layer < 4; ++layer) {
    const int count = m.channels(layer) * m.inputs(layer) * kTaps[layer];
    for (int i = 0; i < count; ++i)
      m.weights[layer].push_back(static_cast<int8_t>(random_between(-128, 127)));
    for (int i = 0; i < m.channels(layer); ++i)
      m.multipliers[layer].push_back(random_between(1 << 20, 1 << 24));
    m.constants[layer] = static_cast<uint8_t>(random_between(0, 255));
  }
  for (int i = 0; i < width; ++i) {
    m.bias1.push_back(random_between(-20000, 40000));
    m.bias2.push_back(random_between(-20000, 40000));
    m.residual.push_back(random_between(-200, 200));
  }
  if (head == Head::kCategorical) {
    for (int i = 0; i < kExpEntries; ++i) m.exp_table.push_back(kMaxExp >> std::min(i / 45, 13));
  } else {
    for (int i = 0; i < kScales * kFractions; ++i) {
      const int radius = i / kFractions;
      m.table_radius.push_back(static_cast<uint8_t>(radius));
      for (int j = 0; j < 2 * radius + 2; ++j) {
        m.table_frequencies.push_back(static_cast<int16_t>(j == 0 ? kTotal - (2 * radius + 1) : 1));
      }
    }
  }
  m.prepare();
  return m;
}

}  // namespace pycodec::context
