// The AVX2 backend: 8 lanes. Bytes are widened to 16 bits and multiplied in pairs, since the instruction that
// multiplies bytes saturates.
#include <immintrin.h>

#include "context/wavefront.h"

namespace pycodec::context {
namespace {

struct Vec {
  using Type = __m256i;
  static constexpr int kLanes = 8, kVectors = 1;
  static constexpr int kHidden[] = {8, 4}, kOutputs[] = {6, 4, 2};

  // Channels 0 and 2 of each element, and channels 1 and 3.
  struct Source {
    Type even, odd;
  };
  static Source source(const int32_t* p) {
    const Type x = load(p), mask = set1(0x00ff00ff);
    return {_mm256_and_si256(x, mask), _mm256_and_si256(_mm256_srli_epi32(x, 8), mask)};
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

  static Type rescale(Type sum, Type multiplier) {
    const Type even = _mm256_srli_epi64(_mm256_mul_epi32(sum, multiplier), 32);
    const Type odd = _mm256_mul_epi32(_mm256_srli_epi64(sum, 32), multiplier);
    return _mm256_blend_epi32(even, odd, 0xAA);
  }

  static Type load(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const Type*>(p)); }
  static void store(int32_t* p, Type x) { _mm256_storeu_si256(reinterpret_cast<Type*>(p), x); }
  static Type set1(int32_t x) { return _mm256_set1_epi32(x); }
  static Type zero() { return _mm256_setzero_si256(); }
  static Type add(Type a, Type b) { return _mm256_add_epi32(a, b); }
  static Type sub(Type a, Type b) { return _mm256_sub_epi32(a, b); }
  static Type mul(Type a, Type b) { return _mm256_mullo_epi32(a, b); }
  static Type min(Type a, Type b) { return _mm256_min_epi32(a, b); }
  static Type max(Type a, Type b) { return _mm256_max_epi32(a, b); }
  static Type either(Type a, Type b) { return _mm256_or_si256(a, b); }
  static Type low_byte(Type x) { return _mm256_and_si256(x, set1(255)); }
  static Type shift_left(Type x, int n) { return _mm256_sll_epi32(x, _mm_cvtsi32_si128(n)); }
  static Type shift_right(Type x, int n) { return _mm256_srl_epi32(x, _mm_cvtsi32_si128(n)); }
  static Type bytes(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static Type choose_equal(Type a, Type b, Type then, Type otherwise) {
    return _mm256_blendv_epi8(otherwise, then, _mm256_cmpeq_epi32(a, b));
  }
  static Type gather(const int32_t* table, Type index) { return _mm256_i32gather_epi32(table, index, 4); }
  // The quotient of integers below 2^31 in double never rounds up to the next integer, so that truncation is
  // the floor of rule 5 (in float it is not).
  static Type reciprocal(Type x) {
    const __m256d numerator = _mm256_set1_pd(1 << 29);
    const __m128i low =
        _mm256_cvttpd_epi32(_mm256_div_pd(numerator, _mm256_cvtepi32_pd(_mm256_castsi256_si128(x))));
    const __m128i high =
        _mm256_cvttpd_epi32(_mm256_div_pd(numerator, _mm256_cvtepi32_pd(_mm256_extracti128_si256(x, 1))));
    return _mm256_set_m128i(high, low);
  }
};

}  // namespace

std::unique_ptr<Evaluator> make_avx2(const Model& model, const Biases& biases, Shape shape, int slots) {
  return std::make_unique<Wavefront<Vec>>(model, biases, shape, slots);
}

}  // namespace pycodec::context
