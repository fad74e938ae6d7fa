// What the AVX-512 loops are made of: a round of 32 lanes as two registers of 16, typed loads and stores, and
// the coder's step each way. Registers of 32 words hold the 32 lanes in order.
#pragma once

#include <immintrin.h>

#include <utility>

#include "rans/block_loops.h"
#include "rans/each.h"
#include "rans/step.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::rans {
namespace {

INLINE __m512i all(int32_t x) { return _mm512_set1_epi32(x); }
INLINE __m512i all_words(int x) { return _mm512_set1_epi16(static_cast<int16_t>(x)); }

// 32 lanes, or 32 values.
struct Lanes {
  __m512i low, high;
};

INLINE Lanes load_lanes(const uint32_t* p) { return {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 16)}; }
INLINE void store_lanes(uint32_t* p, Lanes x) {
  _mm512_storeu_si512(p, x.low);
  _mm512_storeu_si512(p + 16, x.high);
}

alignas(64) constexpr uint16_t kEvenWords[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42,
                                                 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
// Word k / 2 to word k, of the first and of the last 16.
alignas(64) constexpr uint16_t kDoubled[64] = {
    0,  0,  1,  1,  2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,  8,  8,  9,  9,  10, 10,
    11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21,
    22, 22, 23, 23, 24, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 31, 31};
// From element n on: what rotates 32 words up by 32 - n.
alignas(64) constexpr uint16_t kWheel[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                             16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                             0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                             16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

INLINE __m512i low_words(Lanes x) {
  return _mm512_permutex2var_epi16(x.low, _mm512_load_si512(kEvenWords), x.high);
}
INLINE Lanes zero_extend(__m512i words) {
  return {_mm512_cvtepu16_epi32(_mm512_castsi512_si256(words)),
          _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(words, 1))};
}
INLINE Lanes sign_extend(__m512i words) {
  return {_mm512_cvtepi16_epi32(_mm512_castsi512_si256(words)),
          _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(words, 1))};
}

// Lookups one by one, by places in memory: faster than the gathers of these machines.
template <size_t... I>
INLINE __m128i look_up_bytes(const uint8_t* table, const uint16_t* at, std::index_sequence<I...>) {
  __m128i even = _mm_setzero_si128(), odd = even;  // two chains are shorter than one
  (((I % 8 < 4 ? even : odd) =
        _mm_insert_epi8(I % 8 < 4 ? even : odd, table[at[16 * (I / 4) + I % 4]], static_cast<int>(I))),
   ...);
  return _mm_or_si128(even, odd);
}
INLINE __m128i look_up_4(const uint32_t* table, const uint16_t* at) {
  const auto entry = [&](int i) { return static_cast<int>(table[at[i]]); };
  const __m128i v = _mm_insert_epi32(_mm_cvtsi32_si128(entry(0)), entry(1), 1);
  return _mm_insert_epi32(_mm_insert_epi32(v, entry(2), 2), entry(3), 3);
}
INLINE __m512i look_up_16(const uint32_t* table, const uint16_t* at) {
  const __m256i low = _mm256_set_m128i(look_up_4(table, at + 4), look_up_4(table, at));
  const __m256i high = _mm256_set_m128i(look_up_4(table, at + 12), look_up_4(table, at + 8));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
INLINE Lanes look_up_32(const uint32_t* table, __m512i words) {
  alignas(64) uint16_t at[32];
  _mm512_store_si512(at, words);
  return {look_up_16(table, at), look_up_16(table, at + 16)};
}

template <class T>
INLINE const T* element(const IntArray& a, size_t at) {
  return static_cast<const T*>(a.data) + at;
}
INLINE __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// 16 integers as int32. False when one is beyond it.
INLINE bool load_16(const IntArray& a, size_t at, __m512i* v) {
  switch (a.type) {
    case IntType::kI8:
      *v = _mm512_cvtepi8_epi32(load_128(element<int8_t>(a, at)));
      return true;
    case IntType::kU8:
      *v = _mm512_cvtepu8_epi32(load_128(element<uint8_t>(a, at)));
      return true;
    case IntType::kI16:
      *v = _mm512_cvtepi16_epi32(load_256(element<int16_t>(a, at)));
      return true;
    case IntType::kU16:
      *v = _mm512_cvtepu16_epi32(load_256(element<uint16_t>(a, at)));
      return true;
    case IntType::kI32:
      *v = _mm512_loadu_si512(element<int32_t>(a, at));
      return true;
    case IntType::kU32:
      *v = _mm512_loadu_si512(element<uint32_t>(a, at));
      return _mm512_movepi32_mask(*v) == 0;
    default: {
      const __m512i first = _mm512_loadu_si512(element<int64_t>(a, at));
      const __m512i last = _mm512_loadu_si512(element<int64_t>(a, at) + 8);
      const __m256i low = _mm512_cvtepi64_epi32(first), high = _mm512_cvtepi64_epi32(last);
      *v = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
      return (_mm512_cmpneq_epi64_mask(first, _mm512_cvtepi32_epi64(low)) |
              _mm512_cmpneq_epi64_mask(last, _mm512_cvtepi32_epi64(high))) == 0;
    }
  }
}
INLINE bool load_32(const IntArray& a, size_t at, Lanes* v) {
  return load_16(a, at, &v->low) & load_16(a, at + 16, &v->high);
}

// 32 indexes of at most 2^15 tables as words, and of any number. False when one names no table.
INLINE bool load_index_words(const IntArray& a, size_t at, size_t tables, __m512i* words) {
  if (a.size == 0) {
    *words = _mm512_setzero_si512();
    return true;
  }
  if (a.type == IntType::kU8) {
    *words = _mm512_cvtepu8_epi16(load_256(element<uint8_t>(a, at)));
    return _mm512_cmpge_epu16_mask(*words, all_words(static_cast<int>(tables))) == 0;
  }
  Lanes v;
  const __m512i end = all(static_cast<int32_t>(tables));
  if (!load_32(a, at, &v)) return false;
  *words = low_words(v);
  return (_mm512_cmpge_epu32_mask(v.low, end) | _mm512_cmpge_epu32_mask(v.high, end)) == 0;
}
INLINE bool load_indexes(const IntArray& a, size_t at, size_t tables, Lanes* v) {
  if (a.size == 0) {
    v->low = v->high = _mm512_setzero_si512();
    return true;
  }
  const __m512i end = all(static_cast<int32_t>(tables));
  return load_32(a, at, v) &&
         (_mm512_cmpge_epu32_mask(v->low, end) | _mm512_cmpge_epu32_mask(v->high, end)) == 0;
}

// False, and nothing stored, when the type cannot hold one of 16 values.
INLINE bool store_16(const MutableIntArray& out, size_t at, __m512i v) {
  const auto fits = [v](int32_t lowest, int32_t highest) {
    return (_mm512_cmplt_epi32_mask(v, all(lowest)) | _mm512_cmpgt_epi32_mask(v, all(highest))) == 0;
  };
  const auto element = [&](size_t size) {
    return static_cast<void*>(static_cast<char*>(out.data) + at * size);
  };
  switch (out.type) {
    case IntType::kI32:
      _mm512_storeu_si512(element(4), v);
      return true;
    case IntType::kU32:
      if (_mm512_movepi32_mask(v) != 0) return false;
      _mm512_storeu_si512(element(4), v);
      return true;
    case IntType::kI64:
      _mm512_storeu_si512(element(8), _mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)));
      _mm512_storeu_si512(static_cast<int64_t*>(element(8)) + 8,
                          _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1)));
      return true;
    case IntType::kI16:
    case IntType::kU16:
      if (!(out.type == IntType::kI16 ? fits(-32768, 32767) : fits(0, 65535))) return false;
      _mm256_storeu_si256(static_cast<__m256i*>(element(2)), _mm512_cvtepi32_epi16(v));
      return true;
    default:
      if (!(out.type == IntType::kI8 ? fits(-128, 127) : fits(0, 255))) return false;
      _mm_storeu_si128(static_cast<__m128i*>(element(1)), _mm512_cvtepi32_epi8(v));
      return true;
  }
}
INLINE bool store_32(const MutableIntArray& out, size_t at, Lanes v) {
  return store_16(out, at, v.low) & store_16(out, at + 16, v.high);
}

// From here on a precision of at least 12 bits.
constexpr int kMinEncodePrecision = 12;

// The state after coding, once the word is out. A float estimate of x / freq, below 2^20, is made a little
// too small, by 13 units in the last place at most: either it or the next integer is the quotient.
INLINE __m512i encode_lanes(__m512i x, __m512i packed, __m512i freq, int precision) {
  const __m512 f = _mm512_cvtepi32_ps(freq), rough = _mm512_rcp14_ps(f);
  const __m512 reciprocal = _mm512_mul_ps(rough, _mm512_fnmadd_ps(f, rough, _mm512_set1_ps(2.0f - 0x1p-21f)));
  const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(x), reciprocal));
  const __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, freq));
  const __mmask16 next = _mm512_cmpge_epi32_mask(rest, freq);
  // (q << P) + rest + start; with the next quotient 2^P - freq more.
  const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(quotient, precision),
                                       _mm512_add_epi32(rest, _mm512_and_si512(packed, all(0xffff))));
  return _mm512_mask_add_epi32(sum, next, sum, _mm512_sub_epi32(all(1 << precision), freq));
}

// One round; its words, lane order kept, go below *words.
INLINE void encode_round(Lanes* x, Lanes packed, int precision, uint16_t** words) {
  const Lanes freq = {_mm512_srli_epi32(packed.low, 16), _mm512_srli_epi32(packed.high, 16)};
  const __mmask16 low = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x->low, 32 - precision), freq.low);
  const __mmask16 high = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x->high, 32 - precision), freq.high);
  const __mmask32 emits = _mm512_kunpackw(high, low);
  const unsigned count = static_cast<unsigned>(__builtin_popcount(emits));
  // To the upper end of a register, which is stored whole: what lies below is overwritten later.
  const __m512i emitted = _mm512_maskz_compress_epi16(emits, low_words(*x));
  _mm512_storeu_si512(*words - 32, _mm512_permutexvar_epi16(_mm512_loadu_si512(kWheel + count), emitted));
  *words -= count;
  x->low = encode_lanes(_mm512_mask_srli_epi32(x->low, low, x->low, 16), packed.low, freq.low, precision);
  x->high =
      encode_lanes(_mm512_mask_srli_epi32(x->high, high, x->high, 16), packed.high, freq.high, precision);
}

// A class found for each lane: the slots it has, and by how many the state's lies behind its start.
struct Found {
  Lanes freq, inside;
};

// States after these classes, refilled from words of which 64 bytes can be read.
INLINE void decode_round(Lanes* x, const Found& found, int precision, const uint8_t** words) {
  const Lanes y = {
      _mm512_add_epi32(_mm512_mullo_epi32(found.freq.low, _mm512_srli_epi32(x->low, precision)),
                       found.inside.low),
      _mm512_add_epi32(_mm512_mullo_epi32(found.freq.high, _mm512_srli_epi32(x->high, precision)),
                       found.inside.high)};
  const __mmask16 low = _mm512_cmplt_epu32_mask(y.low, all(kLowerBound));
  const __mmask16 high = _mm512_cmplt_epu32_mask(y.high, all(kLowerBound));
  const __mmask32 refill = _mm512_kunpackw(high, low);
  const __m512i next = _mm512_maskz_expand_epi16(refill, _mm512_loadu_si512(*words));
  *words += 2 * __builtin_popcount(refill);
  // x << 16 | word, the word shifted in from the upper half of a doubled one.
  x->low = _mm512_mask_shldi_epi32(y.low, low, y.low,
                                   _mm512_permutexvar_epi16(_mm512_load_si512(kDoubled), next), 16);
  x->high = _mm512_mask_shldi_epi32(y.high, high, y.high,
                                    _mm512_permutexvar_epi16(_mm512_load_si512(kDoubled + 32), next), 16);
}

}  // namespace

size_t avx512_classify(const Tables& tables, const IntArray& symbols, const IntArray& indexes, size_t begin,
                       size_t rounds, uint32_t* packed, RawSink* raw);
size_t avx512_classify_pmfs(const Pmfs& pmfs, const IntArray& symbols, size_t begin, size_t rounds,
                            uint32_t* packed);
void avx512_encode(const Tables& tables, const IntArray& symbols, const IntArray& indexes,
                   EncodingLanes* chunks, size_t count, size_t rounds);
void avx512_decode(const Tables& tables, const IntArray& indexes, const MutableIntArray& out,
                   DecodingLanes* chunks, size_t count, size_t rounds);
void avx512_encode_pmfs(const Pmfs& pmfs, const IntArray& symbols, EncodingLanes* chunks, size_t count,
                        size_t rounds);
void avx512_decode_pmfs(const Pmfs& pmfs, const MutableIntArray& out, DecodingLanes* chunks, size_t count,
                        size_t rounds);

}  // namespace pycodec::rans
