// The block loops for rows of probabilities in AVX-512: frequencies by the rule of pmf.h, 32 rows at a time,
// a class a register of words.
#include <algorithm>

#include "rans/lanes_avx512.h"
#include "rans/rounds.h"

namespace pycodec::rans {
namespace {

// floor(p * float32(spare)) of 16 probabilities. Valid ones are, as integers, at most those of 1.0f; to
// `highest` goes the highest of them all.
INLINE __m512i scale_floats(const float* p, __m512 spare, __m512i* highest) {
  const __m512 x = _mm512_loadu_ps(p);
  *highest = _mm512_max_epu32(*highest, _mm512_castps_si512(x));
  return _mm512_cvttps_epi32(_mm512_mul_ps(x, spare));
}
INLINE bool all_valid(__m512i highest) { return _mm512_cmpgt_epu32_mask(highest, all(0x3f800000)) == 0; }

// Backward, rows this far ahead are asked for: the machine itself foresees only what goes forward.
constexpr size_t kAhead = 8 * kRound;

// 32 rows of L floats, loaded whole. The words of a class are found in them by their places.
template <int L>
class ShortRows {
 public:
  static constexpr size_t classes() { return L; }

  static INLINE void prefetch(const Pmfs& pmfs, size_t row) {
    const float* p = pmfs.floats + row * L;
    for (int j = 0; j < 2 * L; ++j) _mm_prefetch(reinterpret_cast<const char*>(p + 16 * j), _MM_HINT_T0);
  }

  INLINE ShortRows(const Pmfs& pmfs, size_t row) {
    const float* p = pmfs.floats + row * L;
    const __m512 spare = _mm512_set1_ps(static_cast<float>((1 << kPmfPrecision) - L));
    __m512i highest = _mm512_setzero_si512();
    for (int j = 0; j < L; ++j, p += 32) {
      const __m512i low = scale_floats(p, spare, &highest), high = scale_floats(p + 16, spare, &highest);
      words_[j] = _mm512_add_epi16(low_words({low, high}), all_words(1));
    }
    if (L % 2 != 0) words_[L] = words_[L - 1];
    valid_ = all_valid(highest);
  }

  // As the formula gives it, that of the last class included.
  INLINE __m512i freq(int cls) const {
    const __m512i place =
        _mm512_add_epi16(_mm512_mullo_epi16(_mm512_load_si512(kWheel), all_words(L)), all_words(cls));
    __m512i result = _mm512_permutex2var_epi16(words_[0], place, words_[1]);
    for (int pair = 1; 2 * pair < L; ++pair) {
      const __mmask32 here = _mm512_cmpge_epi16_mask(place, all_words(64 * pair));
      const __m512i more = _mm512_permutex2var_epi16(words_[2 * pair], place, words_[2 * pair + 1]);
      result = _mm512_mask_mov_epi16(result, here, more);
    }
    return result;
  }
  bool valid() const { return valid_; }

 private:
  __m512i words_[L + L % 2];
  bool valid_;
};

// 32 rows of any number of floats or words, gathered.
class LongRows {
 public:
  size_t classes() const { return pmfs_.classes; }
  static void prefetch(const Pmfs&, size_t) {}

  INLINE LongRows(const Pmfs& pmfs, size_t row)
      : pmfs_(pmfs),
        first_(row * pmfs.classes),
        place_(_mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                  all(static_cast<int>(pmfs.classes)))),
        spare_(static_cast<int>((1u << kPmfPrecision) - pmfs.classes)),
        // A gather of words reads one more.
        valid_(pmfs.floats != nullptr || row + kRound < pmfs.rows) {}

  INLINE __m512i freq(size_t cls) {
    if (!valid_) return _mm512_setzero_si512();
    const Lanes scaled = {scale(first_ + cls), scale(first_ + 16 * pmfs_.classes + cls)};
    return _mm512_add_epi16(low_words(scaled), all_words(1));
  }
  bool valid() const { return valid_; }

 private:
  INLINE __m512i scale(size_t at) {
    if (pmfs_.floats != nullptr) {
      const __m512 p = _mm512_i32gather_ps(place_, pmfs_.floats + at, 4);
      valid_ &= all_valid(_mm512_castps_si512(p));
      return _mm512_cvttps_epi32(_mm512_mul_ps(p, _mm512_set1_ps(static_cast<float>(spare_))));
    }
    const __m512i u = _mm512_and_si512(_mm512_i32gather_epi32(place_, pmfs_.words + at, 2), all(0xffff));
    return _mm512_srli_epi32(_mm512_mullo_epi32(u, all(spare_)), 16);
  }

  const Pmfs& pmfs_;
  const size_t first_;
  const __m512i place_;
  const int spare_;
  bool valid_;
};

// Packed classes of 32 symbols; false when a symbol or a row is refused.
template <class Rows>
INLINE bool classify(Rows rows, Lanes symbol, Lanes* packed) {
  const __m512i total = all_words(1 << kPmfPrecision), end = all(static_cast<int>(rows.classes()));
  if ((_mm512_cmpge_epu32_mask(symbol.low, end) | _mm512_cmpge_epu32_mask(symbol.high, end)) != 0)
    return false;
  const __m512i cls = low_words(symbol);
  __m512i sum = _mm512_setzero_si512(), start = sum, freq = sum;
  for (int c = 0; c < static_cast<int>(rows.classes()); ++c) {
    const bool last = c + 1 == static_cast<int>(rows.classes());
    const __m512i f = rows.freq(c);
    const __mmask32 chosen = _mm512_cmpeq_epi16_mask(cls, all_words(c));
    start = _mm512_mask_mov_epi16(start, chosen, sum);
    freq = _mm512_mask_mov_epi16(freq, chosen, last ? _mm512_sub_epi16(total, sum) : f);
    sum = _mm512_adds_epu16(sum, f);
  }
  const __m512i first = _mm512_add_epi32(_mm512_load_si512(kDoubled), all(32 << 16));
  const __m512i last = _mm512_add_epi32(_mm512_load_si512(kDoubled + 32), all(32 << 16));
  *packed = {_mm512_permutex2var_epi16(start, first, freq), _mm512_permutex2var_epi16(start, last, freq)};
  return rows.valid() && _mm512_cmpgt_epu16_mask(sum, total) == 0;
}

// Classes that states are in; false when a row is refused.
template <class Rows>
INLINE bool find(Rows rows, Lanes x, Found* found, Lanes* value) {
  const __m512i total = all_words(1 << kPmfPrecision);
  const __m512i slot = _mm512_and_si512(low_words(x), all_words((1 << kPmfPrecision) - 1));
  __m512i sum = rows.freq(0), cls = _mm512_setzero_si512(), start = cls, end = cls;
  __mmask32 beyond = ~__mmask32{0};
  for (int c = 1; c < static_cast<int>(rows.classes()); ++c) {
    end = _mm512_mask_mov_epi16(end, beyond, sum);
    beyond = _mm512_cmpge_epu16_mask(slot, sum);
    start = _mm512_mask_mov_epi16(start, beyond, sum);
    cls = _mm512_mask_add_epi16(cls, beyond, cls, all_words(1));
    sum = _mm512_adds_epu16(sum, rows.freq(c));
  }
  end = _mm512_mask_mov_epi16(end, beyond, total);
  found->freq = zero_extend(_mm512_sub_epi16(end, start));
  found->inside = zero_extend(_mm512_sub_epi16(slot, start));
  *value = zero_extend(cls);
  return rows.valid() && _mm512_cmpgt_epu16_mask(sum, total) == 0;
}

template <class Rows>
void encode_rows(const Pmfs& pmfs, const IntArray& symbols, EncodingLanes* chunk, size_t rounds) {
  encode_rounds<1, 1>(chunk, rounds, kPmfPrecision,
                      [&](auto, const size_t* at, Lanes* packed, RawSink*) __attribute__((always_inline)) {
                        Rows::prefetch(pmfs, *at - std::min(*at, kAhead));
                        Lanes symbol;
                        return load_32(symbols, *at, &symbol) && classify(Rows(pmfs, *at), symbol, packed);
                      });
}
template <class Rows>
void decode_rows(const Pmfs& pmfs, const MutableIntArray& out, DecodingLanes* chunk, size_t rounds) {
  decode_rounds<1, 1>(chunk, rounds, kPmfPrecision, out,
                      [&](auto, const Lanes* x, const size_t* at, Found* found, Lanes* value, RawSource*)
                          __attribute__((always_inline)) { return find(Rows(pmfs, *at), *x, found, value); });
}

template <class Rows>
struct Tag {
  using type = Rows;
};
template <class Fn>
void for_kind(const Pmfs& pmfs, Fn&& fn) {
  if (pmfs.floats != nullptr) {
    switch (pmfs.classes) {
      case 2:
        return fn(Tag<ShortRows<2>>{});
      case 3:
        return fn(Tag<ShortRows<3>>{});
      case 4:
        return fn(Tag<ShortRows<4>>{});
      case 5:
        return fn(Tag<ShortRows<5>>{});
      case 6:
        return fn(Tag<ShortRows<6>>{});
      case 7:
        return fn(Tag<ShortRows<7>>{});
      case 8:
        return fn(Tag<ShortRows<8>>{});
      default:
        break;
    }
  }
  fn(Tag<LongRows>{});
}

}  // namespace

size_t avx512_classify_pmfs(const Pmfs& pmfs, const IntArray& symbols, size_t begin, size_t rounds,
                            uint32_t* packed) {
  size_t r = 0;
  for_kind(pmfs, [&](auto rows) {
    for (; r < rounds; ++r) {
      const size_t at = begin + r * kRound;
      Lanes symbol, round;
      if (!load_32(symbols, at, &symbol)) break;
      if (!classify(typename decltype(rows)::type(pmfs, at), symbol, &round)) break;
      store_lanes(packed + r * kRound, round);
    }
  });
  return r;
}

// One chunk after the other: of what a round takes little hangs on its states.
void avx512_encode_pmfs(const Pmfs& pmfs, const IntArray& symbols, EncodingLanes* chunks, size_t count,
                        size_t rounds) {
  for_kind(pmfs, [&](auto rows) {
    for (size_t k = 0; k < count; ++k) {
      encode_rows<typename decltype(rows)::type>(pmfs, symbols, chunks + k, rounds);
    }
  });
}

void avx512_decode_pmfs(const Pmfs& pmfs, const MutableIntArray& out, DecodingLanes* chunks, size_t count,
                        size_t rounds) {
  for_kind(pmfs, [&](auto rows) {
    for (size_t k = 0; k < count; ++k) {
      decode_rows<typename decltype(rows)::type>(pmfs, out, chunks + k, rounds);
    }
  });
}

const BlockLoops& avx512_block_loops() {
  static constexpr BlockLoops kLoops = {avx512_classify, avx512_classify_pmfs, avx512_encode,
                                        avx512_decode,   avx512_encode_pmfs,   avx512_decode_pmfs};
  return kLoops;
}

}  // namespace pycodec::rans
