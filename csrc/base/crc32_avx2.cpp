// CRC-32 by carry-less multiplication (Gopal et al. 2009, "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction"), in the bit-reflected form: 64 bytes a step.
#include <immintrin.h>

#include "base/crc32.h"

namespace pycodec {
namespace {

__m128i load(const unsigned char* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// x moved on by as many bits as the constants stand for, plus next.
__m128i fold(__m128i x, __m128i constants, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(x, constants, 0x00),
                high = _mm_clmulepi64_si128(x, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

}  // namespace

uint32_t crc32_of_blocks(Bytes data, uint32_t c) {
  // Remainders of x^(64 * 8 +- 32), x^(16 * 8 +- 32) and x^64; the polynomial and its inverse.
  const __m128i by_64_bytes = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by_16_bytes = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const __m128i by_8_bytes = _mm_set_epi64x(0, 0x163cd6124);
  const __m128i polynomial = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);

  const unsigned char *p = data.data(), *end = p + data.size();
  __m128i x[4];
  for (int i = 0; i < 4; ++i) x[i] = load(p + 16 * i);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(c)));
  for (p += 64; end - p >= 64; p += 64) {
    for (int i = 0; i < 4; ++i) x[i] = fold(x[i], by_64_bytes, load(p + 16 * i));
  }
  __m128i r = x[0];
  for (int i = 1; i < 4; ++i) r = fold(r, by_16_bytes, x[i]);
  for (; p < end; p += 16) r = fold(r, by_16_bytes, load(p));

  // 128 bits to 64, then to 32 by Barrett reduction.
  r = _mm_xor_si128(_mm_srli_si128(r, 8), _mm_clmulepi64_si128(r, by_16_bytes, 0x10));
  r = _mm_xor_si128(_mm_srli_si128(r, 4),
                    _mm_clmulepi64_si128(_mm_and_si128(r, low_words), by_8_bytes, 0x00));
  __m128i q = _mm_clmulepi64_si128(_mm_and_si128(r, low_words), polynomial, 0x10);
  q = _mm_clmulepi64_si128(_mm_and_si128(q, low_words), polynomial, 0x00);
  return static_cast<uint32_t>(_mm_extract_epi32(_mm_xor_si128(r, q), 1));
}

}  // namespace pycodec
