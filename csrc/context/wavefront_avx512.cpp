// The AVX-512 VNNI backend: 16 lanes, one instruction for the 64 products of a register.
#include <immintrin.h>

#include "context/wavefront.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::context {
namespace {

struct Vec {
  using Type = __m512i;
  static constexpr int kLanes = 16, kVectors = 2;
  static constexpr int kHidden[] = {12, 8, 4}, kOutputs[] = {6, 4, 2};

  using Source = __m512i;
  static Source source(const int32_t* p) { return load(p); }
  static constexpr int kWeights = 1;
  static void pack(const int8_t* bytes, int32_t* weights) { std::memcpy(weights, bytes, 4); }
  static Type dot(Type sum, Source x, const int32_t* w) { return _mm512_dpbusd_epi32(sum, x, set1(*w)); }

  static Type rescale(Type sum, Type multiplier) {
    const Type even = _mm512_srli_epi64(_mm512_mul_epi32(sum, multiplier), 32);
    const Type odd = _mm512_mul_epi32(_mm512_srli_epi64(sum, 32), multiplier);
    return _mm512_mask_mov_epi32(even, 0xAAAA, odd);
  }

  static Type load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store(int32_t* p, Type x) { _mm512_storeu_si512(p, x); }
  static Type set1(int32_t x) { return _mm512_set1_epi32(x); }
  static Type zero() { return _mm512_setzero_si512(); }
  static Type add(Type a, Type b) { return _mm512_add_epi32(a, b); }
  static Type sub(Type a, Type b) { return _mm512_sub_epi32(a, b); }
  static Type mul(Type a, Type b) { return _mm512_mullo_epi32(a, b); }
  static Type min(Type a, Type b) { return _mm512_min_epi32(a, b); }
  static Type max(Type a, Type b) { return _mm512_max_epi32(a, b); }
  static Type either(Type a, Type b) { return _mm512_or_si512(a, b); }
  static Type low_byte(Type x) { return _mm512_and_si512(x, set1(255)); }
  static Type shift_left(Type x, int n) { return _mm512_sll_epi32(x, _mm_cvtsi32_si128(n)); }
  static Type shift_right(Type x, int n) { return _mm512_srl_epi32(x, _mm_cvtsi32_si128(n)); }
  static Type bytes(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Type choose_equal(Type a, Type b, Type then, Type otherwise) {
    return _mm512_mask_mov_epi32(otherwise, _mm512_cmpeq_epi32_mask(a, b), then);
  }
  static Type gather(const int32_t* table, Type index) { return _mm512_i32gather_epi32(index, table, 4); }
  // The quotient of integers below 2^31 in double never rounds up to the next integer, so that truncation is
  // the floor of rule 5 (in float it is not).
  static Type reciprocal(Type x) {
    const __m512d numerator = _mm512_set1_pd(1 << 29);
    const __m256i low =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_castsi512_si256(x))));
    const __m256i high =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(x, 1))));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
};

}  // namespace

std::unique_ptr<Evaluator> make_avx512(const Model& model, const Biases& biases, Shape shape, int slots) {
  return std::make_unique<Wavefront<Vec>>(model, biases, shape, slots);
}

}  // namespace pycodec::context
