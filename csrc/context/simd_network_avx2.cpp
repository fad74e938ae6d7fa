// The AVX2 backend: 8 lanes. Bytes are widened to 16 bits and multiplied in pairs, since the instruction that
// multiplies bytes saturates.
#include "context/simd_network.h"
#include "context/ymm.h"

namespace pycodec::context {
namespace {

struct Vec : Ymm {
  // Channels 0 and 2 of each element, and channels 1 and 3.
  struct Source {
    Type even, odd;
  };
  static Source source(const int32_t* p) {
    const Type x = load(p);
    return {_mm256_and_si256(x, set1(0x00ff00ff)), _mm256_srli_epi16(x, 8)};
  }
  static constexpr int kWeights = 2;
  static void pack(const int8_t* bytes, int32_t* weights) {
    for (int i = 0; i < 2; ++i) {
      const int16_t pair[2] = {bytes[i], bytes[i + 2]};
      std::memcpy(weights + i, pair, 4);
    }
  }
  static Type dot(Type sum, const Source& x, const int32_t* w) {
    const Type even = _mm256_madd_epi16(x.even, set1(w[0])), odd = _mm256_madd_epi16(x.odd, set1(w[1]));
    return add(sum, add(even, odd));
  }
};

struct Registers {
  using Wide = Vec;
  using Narrow = Vec;
  static constexpr int kBlock = 12;
};

}  // namespace

std::unique_ptr<Evaluator> make_avx2(const Model& model, const Biases& biases, Shape shape, Order order,
                                     int slots) {
  return std::make_unique<SimdNetwork<Registers>>(model, biases, shape, order, slots);
}

}  // namespace pycodec::context
