// What the AVX2 loops are made of: a round of 32 lanes as four registers of 8, typed loads and stores, and
// the coder's step each way.
#pragma once

#include <immintrin.h>

#include <array>

#include "rans/block_loops.h"
#include "rans/each.h"
#include "rans/step.h"

namespace pycodec::rans {
namespace {

INLINE __m256i all(int32_t x) { return _mm256_set1_epi32(x); }
INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
INLINE __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
INLINE __m128i load_64(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
INLINE void store_256(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
INLINE void store_128(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
INLINE bool none(__m256i mask) { return _mm256_testz_si256(mask, mask) != 0; }
INLINE unsigned lanes_of(__m256i mask) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
}
// Lanes where 0 <= v < end fails; end > 0.
INLINE __m256i outside(__m256i v, __m256i end) {
  const __m256i last = _mm256_sub_epi32(end, all(1));
  return _mm256_or_si256(_mm256_cmpgt_epi32(v, last), _mm256_cmpgt_epi32(_mm256_setzero_si256(), v));
}

// 32 lanes, or 32 values.
struct Lanes {
  __m256i part[4];
};

INLINE Lanes load_lanes(const uint32_t* p) {
  return {{load_256(p), load_256(p + 8), load_256(p + 16), load_256(p + 24)}};
}
INLINE void store_lanes(uint32_t* p, const Lanes& x) {
  each<4>(EACH(j) { store_256(p + 8 * j, x.part[j]); });
}

// 8 integers as int32. False when one is beyond it.
INLINE bool load_8(const IntArray& a, size_t at, __m256i* v) {
  const auto element = [&](size_t size) { return static_cast<const char*>(a.data) + at * size; };
  switch (a.type) {
    case IntType::kI8:
      *v = _mm256_cvtepi8_epi32(load_64(element(1)));
      return true;
    case IntType::kU8:
      *v = _mm256_cvtepu8_epi32(load_64(element(1)));
      return true;
    case IntType::kI16:
      *v = _mm256_cvtepi16_epi32(load_128(element(2)));
      return true;
    case IntType::kU16:
      *v = _mm256_cvtepu16_epi32(load_128(element(2)));
      return true;
    case IntType::kI32:
      *v = load_256(element(4));
      return true;
    case IntType::kU32:
      *v = load_256(element(4));
      return lanes_of(*v) == 0;
    default: {
      const __m256i first = load_256(element(8)), last = load_256(element(8) + 32);
      const __m256i evens = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
      const __m256i low = _mm256_permutevar8x32_epi32(first, evens);
      const __m256i high = _mm256_permutevar8x32_epi32(last, evens);
      *v = _mm256_blend_epi32(low, high, 0xf0);
      const auto fits = [](__m256i wide, __m256i narrow) {
        const __m256i again = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(narrow));
        return none(_mm256_xor_si256(wide, again));
      };
      return fits(first, low) && fits(last, high);
    }
  }
}
INLINE bool load_32(const IntArray& a, size_t at, Lanes* v) {
  bool good = true;
  each<4>(EACH(j) { good &= load_8(a, at + 8 * static_cast<size_t>(j), &v->part[j]); });
  return good;
}

// False when one names no table.
INLINE bool load_indexes(const IntArray& a, size_t at, size_t tables, Lanes* v) {
  if (a.size == 0) {
    each<4>(EACH(j) { v->part[j] = _mm256_setzero_si256(); });
    return true;
  }
  if (!load_32(a, at, v)) return false;
  const __m256i end = all(static_cast<int32_t>(tables));
  __m256i wrong = _mm256_setzero_si256();
  each<4>(EACH(j) { wrong = _mm256_or_si256(wrong, outside(v->part[j], end)); });
  return none(wrong);
}

// False, and nothing stored, when the type cannot hold one of 8 values.
INLINE bool store_8(const MutableIntArray& out, size_t at, __m256i v) {
  const auto element = [&](size_t size) { return static_cast<char*>(out.data) + at * size; };
  const auto fits = [v](int32_t lowest, int32_t highest) {
    return none(_mm256_or_si256(_mm256_cmpgt_epi32(all(lowest), v), _mm256_cmpgt_epi32(v, all(highest))));
  };
  // The low words of 8 values that fit one.
  const auto words = [v] {
    const __m256i low = _mm256_and_si256(v, all(0xffff));
    return _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  };
  switch (out.type) {
    case IntType::kI32:
      store_256(element(4), v);
      return true;
    case IntType::kU32:
      if (lanes_of(v) != 0) return false;
      store_256(element(4), v);
      return true;
    case IntType::kI64:
      store_256(element(8), _mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)));
      store_256(element(8) + 32, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
      return true;
    case IntType::kI16:
    case IntType::kU16:
      if (!(out.type == IntType::kI16 ? fits(-32768, 32767) : fits(0, 65535))) return false;
      store_128(element(2), words());
      return true;
    default: {
      if (!(out.type == IntType::kI8 ? fits(-128, 127) : fits(0, 255))) return false;
      const __m128i low = _mm_and_si128(words(), _mm_set1_epi16(0xff));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(element(1)), _mm_packus_epi16(low, low));
      return true;
    }
  }
}
INLINE bool store_32(const MutableIntArray& out, size_t at, const Lanes& v) {
  bool good = true;
  each<4>(EACH(j) { good &= store_8(out, at + 8 * static_cast<size_t>(j), v.part[j]); });
  return good;
}

// For each set of 8 lanes, a byte a lane: which element comes to it when those of the set are moved together
// at the upper end, and when they are spread out from the lower end.
struct Moves {
  std::array<uint64_t, 256> up{}, spread{};
};
constexpr Moves make_moves() {
  Moves moves;
  for (unsigned set = 0; set < 256; ++set) {
    unsigned count = 0, to = 0;
    for (unsigned lane = 0; lane < 8; ++lane) count += set >> lane & 1;
    for (unsigned lane = 0; lane < 8; ++lane) {
      if ((set >> lane & 1) == 0) continue;
      moves.up[set] |= uint64_t{lane} << 8 * (8 - count + to);
      moves.spread[set] |= uint64_t{to} << 8 * lane;
      ++to;
    }
  }
  return moves;
}
constexpr Moves kMoves = make_moves();

INLINE __m256i move(__m256i v, const uint64_t& moves) {
  return _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(load_64(&moves)));
}

// From here on a precision of at least 12 bits.
constexpr int kMinEncodePrecision = 12;

// 8 lanes; their words, lane order kept, go below *words. A float estimate of x / freq, below 2^20, is made a
// little too small, by 12 units in the last place at most: either it or the next integer is the quotient.
INLINE __m256i encode_8(__m256i x, __m256i packed, int precision, uint16_t** words) {
  const __m256i freq = _mm256_srli_epi32(packed, 16), start = _mm256_and_si256(packed, all(0xffff));
  const __m256i keeps = _mm256_cmpgt_epi32(freq, _mm256_srli_epi32(x, 32 - precision));
  const unsigned emits = lanes_of(keeps) ^ 0xff;
  const __m256i emitted = _mm256_and_si256(move(x, kMoves.up[emits]), all(0xffff));
  // Stored whole: what lies below is overwritten later.
  store_128(*words - 8,
            _mm_packus_epi32(_mm256_castsi256_si128(emitted), _mm256_extracti128_si256(emitted, 1)));
  *words -= __builtin_popcount(emits);
  x = _mm256_blendv_epi8(_mm256_srli_epi32(x, 16), x, keeps);
  const __m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16));
  const __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(x, all(0xffff)));
  const __m256 value = _mm256_add_ps(_mm256_mul_ps(high, _mm256_set1_ps(65536.0f)), low);
  const __m256 reciprocal = _mm256_div_ps(_mm256_set1_ps(1.0f - 0x1p-21f), _mm256_cvtepi32_ps(freq));
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(value, reciprocal));
  const __m256i rest = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, freq));
  // (q << P) + rest + start; with the next quotient 2^P - freq more.
  const __m256i more =
      _mm256_andnot_si256(_mm256_cmpgt_epi32(freq, rest), _mm256_sub_epi32(all(1 << precision), freq));
  return _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(quotient, precision), start),
                          _mm256_add_epi32(rest, more));
}
INLINE void encode_round(Lanes* x, const Lanes& packed, int precision, uint16_t** words) {
  each<4>(EACH(j) { x->part[3 - j] = encode_8(x->part[3 - j], packed.part[3 - j], precision, words); });
}

// A class found for each lane: the slots it has, and by how many the state's lies behind its start.
struct Found {
  Lanes freq, inside;
};

// States after these classes, refilled from words of which 64 bytes can be read.
INLINE void decode_round(Lanes* x, const Found& found, int precision, const uint8_t** words) {
  each<4>(EACH(j) {
    const __m256i y =
        _mm256_add_epi32(_mm256_mullo_epi32(found.freq.part[j], _mm256_srli_epi32(x->part[j], precision)),
                         found.inside.part[j]);
    const __m256i refill = _mm256_cmpeq_epi32(_mm256_srli_epi32(y, 16), _mm256_setzero_si256());
    const unsigned set = lanes_of(refill);
    const __m256i next = move(_mm256_cvtepu16_epi32(load_128(*words)), kMoves.spread[set]);
    *words += 2 * __builtin_popcount(set);
    x->part[j] = _mm256_blendv_epi8(y, _mm256_or_si256(_mm256_slli_epi32(y, 16), next), refill);
  });
}

}  // namespace
}  // namespace pycodec::rans
