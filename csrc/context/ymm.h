// Registers of 8 lanes, what AVX2 and AVX-512 have in common: all that layers.h asks of a register but dot,
// differ and what belongs to them. In an anonymous namespace, so that each file has its own.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace pycodec::context {
namespace {

struct Ymm {
  using Type = __m256i;
  static constexpr int kLanes = 8;

  static Type rescale(Type sum, Type multiplier) {
    const Type even = _mm256_mul_epi32(sum, multiplier);
    const Type odd = _mm256_mul_epi32(_mm256_srli_epi64(sum, 32), multiplier);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  }
  static Type join(Type a, Type b, Type c, Type d) {
    const Type bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    const __m128i transpose = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(transpose));
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
  template <int n>
  static Type shift_left(Type x) {
    return _mm256_slli_epi32(x, n);
  }
  template <int n>
  static Type shift_right(Type x) {
    return _mm256_srli_epi32(x, n);
  }
  template <int j>
  static Type byte(Type x) {
    return j == 3 ? _mm256_srli_epi32(x, 24) : _mm256_and_si256(_mm256_srli_epi32(x, 8 * j), set1(255));
  }
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
  static uint32_t differ(const uint8_t* p, uint8_t code) {
    const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return ~_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(static_cast<char>(code)))) & 0xff;
  }
};

}  // namespace
}  // namespace pycodec::context
