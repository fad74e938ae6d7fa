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

  class Floats {
   public:
    using Float = __m512;
    static constexpr bool kMasked = true;

    explicit Floats(size_t lanes) : mask_(static_cast<__mmask16>((1u << lanes) - 1)) {}

    Float load(const float* p) const { return _mm512_maskz_loadu_ps(mask_, p); }
    void store(float* p, Float v) const { _mm512_mask_storeu_ps(p, mask_, v); }
    Float to_float(const int32_t* p) const { return _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask_, p)); }
    Float multiply(Float a, Float b) const { return _mm512_mul_ps(a, b); }
    Float add(Float a, Float b) const { return _mm512_add_ps(a, b); }
    void store_clamped(int16_t* p, Float x, float low, float high) const {
      _mm256_mask_storeu_epi16(p, mask_, _mm512_cvtepi32_epi16(clamped(x, low, high)));
    }
    void store_clamped(uint8_t* p, Float x, float low, float high) const {
      _mm_mask_storeu_epi8(p, mask_, _mm512_cvtepi32_epi8(clamped(x, low, high)));
    }

   private:
    static Type clamped(Float x, float low, float high) {
      x = _mm512_max_ps(x, _mm512_set1_ps(low));  // the second operand for what is no number
      x = _mm512_min_ps(x, _mm512_set1_ps(high));
      return _mm512_cvtps_epi32(x);
    }

    __mmask16 mask_;
  };
};

}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::quantized
