// AVX-512 VNNI: 16 dot products of two int16, or of four bytes, in one instruction.
#include <immintrin.h>

#include "quantized/loops.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::quantized {
namespace {

struct Vec {
  using Type = __m512i;
  using Narrow = uint8_t;
  static constexpr int kLanes = 16;
  static constexpr int kRows[kMaxVectors + 1] = {0, 14, 14, 9};

  static Type zero() { return _mm512_setzero_si512(); }
  static Type load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static void store(int32_t* p, Type v) { _mm512_storeu_si512(p, v); }
  static Type broadcast(const uint8_t* p) {
    int32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return _mm512_set1_epi32(bits);
  }
  static Type dot(Type sum, Type codes, Type weights) { return _mm512_dpwssd_epi32(sum, codes, weights); }
  static Type dot_narrow(Type sum, Type codes, Type weights) {
    return _mm512_dpbusd_epi32(sum, codes, weights);
  }

  static constexpr bool kHasFloats = true;
  using Float = __m512;
  static Float load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Float v) { _mm512_storeu_ps(p, v); }
  static Float to_float(const int32_t* p) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(p)); }
  static Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Type clamped(Float x, float low, float high) {
    x = _mm512_max_ps(x, _mm512_set1_ps(low));  // the second operand for what is no number
    x = _mm512_min_ps(x, _mm512_set1_ps(high));
    return _mm512_cvtps_epi32(x);
  }
  static void store_clamped(int16_t* p, Float x, float low, float high) {
    const __m256i codes = _mm512_cvtepi32_epi16(clamped(x, low, high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), codes);
  }
  static void store_clamped(uint8_t* p, Float x, float low, float high) {
    const __m128i codes = _mm512_cvtepi32_epi8(clamped(x, low, high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), codes);
  }
};

}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::quantized
