// Quantized layers of hostile weights, sizes and inputs, NaN and infinities among them: refused, or the same
// bits at every SIMD level and with any number of threads.
#include <algorithm>

#include "fuzz/random.h"
#include "fuzz/target.h"
#include "quantized/layers.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;
using namespace pycodec::quantized;

// Floats of the magnitudes that layers have; where the input says so, any bits.
std::vector<float> floats(Input& in, Random& random, size_t count, float scale) {
  std::vector<float> values(count);
  for (float& v : values) v = scale * static_cast<float>(random.between(-1000, 1000));
  for (int replaced = in.u8() % 4; replaced > 0 && count > 0; --replaced) {
    const size_t at = in.u16() % count;
    const uint32_t bits = in.u32();
    std::memcpy(&values[at], &bits, sizeof bits);
  }
  return values;
}

std::vector<int16_t> weights(Input& in, Random& random, size_t count, int largest) {
  std::vector<int16_t> values(count);
  for (int16_t& v : values) v = static_cast<int16_t>(random.between(-largest, largest));
  for (int replaced = in.u8() % 4; replaced > 0 && count > 0; --replaced) {
    const size_t at = in.u16() % count;
    values[at] = static_cast<int16_t>(in.u16());
  }
  return values;
}

// A length that a layer expects, now and then another.
size_t length(Input& in, int expected) {
  const int kind = in.u8();
  return kind < 250 ? static_cast<size_t>(expected) : kind - 250u;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  // Which NaN comes of two is the machine's choice.
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::memcmp(&x, &y, sizeof x) == 0 || (x != x && y != y);
  });
}

void run_conv(Input& in, Random& random, Simd simd) {
  const int sides[] = {1, 3, 3, 2}, squares[] = {1, 1, 2, 3, 0};
  const int limits[] = {255, 4095, 32767, 1, 0, 32768};
  const int side = in.one_of(sides), down = in.one_of(squares), up = in.one_of(squares);
  const int limit = in.one_of(limits), largest = in.between(1, 2000);
  const int inputs = in.between(0, 20) * std::max(1, down * down) + in.u8() % 50 / 49;
  const int outputs = in.between(0, 40) * std::max(1, up * up) + in.u8() % 50 / 49;
  const Size size{in.between(0, 6), in.between(0, 7)};
  const bool add = in.flag();
  const int taps = side * side;
  const auto scale = floats(in, random, length(in, inputs), 0.1f);
  const auto weight = weights(in, random, length(in, outputs * taps * inputs), largest);
  const auto multiplier = floats(in, random, length(in, outputs), 1e-7f);
  const auto bias = floats(in, random, length(in, outputs), 0.1f);
  const Conv::Spec spec{outputs, side, inputs, down, up, limit, scale, weight, multiplier, bias};
  const Conv conv(spec, Simd::kScalar), other(spec, simd);
  // As pycodec.ops.quantized finds the sizes of maps.
  const size_t positions = static_cast<size_t>(size.height) * size.width;
  const auto x = floats(in, random, positions * inputs, 1.0f);
  auto y = floats(in, random, positions * outputs, 1.0f), other_y = y;
  conv.forward(size, x.data(), y.data(), add, {1});
  other.forward(size, x.data(), other_y.data(), add, {in.threads()});
  require(same_bits(y, other_y), "convolutions differ between SIMD levels or threads");
}

void run_block(Input& in, Random& random, Simd simd) {
  const int limits[] = {255, 4095, 32767}, hidden_limits[] = {255, 127, 256, 4095};
  const int channels = in.between(0, 40), part = in.between(0, 12), hidden = in.between(0, 40);
  const int limit = in.one_of(limits), hidden_limit = in.one_of(hidden_limits);
  const Size size{in.between(0, 6), in.between(0, 7)};
  const int largest = in.between(1, 2000), project_largest = in.between(1, 130);
  const auto part_scale = floats(in, random, length(in, part), 0.1f);
  const auto spatial = weights(in, random, length(in, part * 9 * part), largest);
  const auto spatial_multiplier = floats(in, random, length(in, part), 1e-5f);
  const auto scale = floats(in, random, length(in, channels), 0.1f);
  const auto expand = weights(in, random, length(in, hidden * channels), largest);
  const auto expand_multiplier = floats(in, random, length(in, hidden), 1e-6f);
  const auto project = weights(in, random, length(in, channels * hidden), project_largest);
  const auto project_multiplier = floats(in, random, length(in, channels), 1e-5f);
  const auto project_bias = floats(in, random, length(in, channels), 0.1f);
  const PartialBlock::Spec spec{channels,
                                part,
                                hidden,
                                limit,
                                hidden_limit,
                                part_scale,
                                spatial,
                                spatial_multiplier,
                                scale,
                                expand,
                                expand_multiplier,
                                project,
                                project_multiplier,
                                project_bias};
  const PartialBlock block(spec, Simd::kScalar), other(spec, simd);
  auto x = floats(in, random, static_cast<size_t>(size.height) * size.width * channels, 1.0f), other_x = x;
  const auto hidden_bias = floats(in, random, hidden, 1.0f);
  block.forward(size, x.data(), hidden_bias.data(), {1});
  other.forward(size, other_x.data(), hidden_bias.data(), {in.threads()});
  require(same_bits(x, other_x), "blocks differ between SIMD levels or threads");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const bool is_block = in.flag();
  Random random(in.u8());
  const Simd simd = in.simd();
  try {
    if (is_block) {
      run_block(in, random, simd);
    } else {
      run_conv(in, random, simd);
    }
  } catch (const InvalidArgument&) {
  }
  return 0;
}
