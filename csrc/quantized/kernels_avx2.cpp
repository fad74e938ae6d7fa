// AVX2: products of int16 only, because vpmaddubsw saturates.
#include <immintrin.h>

#include "quantized/loops.h"

namespace pycodec::quantized {
namespace {

struct Vec {
  using Type = __m256i;
  using Narrow = int16_t;
  static constexpr int kLanes = 8;
  static constexpr int kRows[kMaxVectors + 1] = {0, 6, 6, 4};

  static Type zero() { return _mm256_setzero_si256(); }
  static Type load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const Type*>(p)); }
  static void store(int32_t* p, Type v) { _mm256_storeu_si256(reinterpret_cast<Type*>(p), v); }
  static Type broadcast(const uint8_t* p) {
    int32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return _mm256_set1_epi32(bits);
  }
  static Type dot(Type sum, Type codes, Type weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weights));
  }
  static Type dot_narrow(Type sum, Type codes, Type weights) { return dot(sum, codes, weights); }

  struct Floats {
    static constexpr bool kMasked = false;

    explicit Floats(size_t) {}

    using Float = __m256;
    static Float load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Float v) { _mm256_storeu_ps(p, v); }
    static Float to_float(const int32_t* p) {
      return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const Type*>(p)));
    }
    static Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
    static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
    static void store_clamped(int16_t* p, Float x, float low, float high) {
      // vmaxps answers its second operand for what is no number.
      x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(low)), _mm256_set1_ps(high));
      const Type codes = _mm256_cvtps_epi32(x);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                       _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1)));
    }
  };
};

}  // namespace

const Kernels& avx2_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::quantized
