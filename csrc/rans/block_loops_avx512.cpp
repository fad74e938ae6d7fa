// The block loops in AVX-512: 16 symbols a register, two registers a round of 32 lanes.
#include <immintrin.h>

#include <algorithm>

#include "rans/block_loops.h"
#include "rans/step.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::rans {
namespace {

constexpr size_t kLanes = 16;

#define INLINE inline __attribute__((always_inline))

INLINE __m512i all(int32_t x) { return _mm512_set1_epi32(x); }

// A field of each symbol's Tables::Table.
INLINE __m512i field(const Tables& tables, __m512i index, size_t offset) {
  const auto* base = reinterpret_cast<const char*>(tables.data()) + offset;
  return _mm512_i32gather_epi32(_mm512_slli_epi32(index, 2), base, 4);
}

INLINE __m512i first_class(const Tables& tables, __m512i index) {
  if (tables.size() == 1) return _mm512_setzero_si512();
  return field(tables, index, offsetof(Tables::Table, first));
}
INLINE __m512i value_offset(const Tables& tables, __m512i index) {
  return field(tables, index, offsetof(Tables::Table, offset));
}

// 16-bit entry of each symbol's table, of 64.
INLINE __m512i lookup_64(const uint16_t* entries, __m512i index) {
  return _mm512_permutex2var_epi16(_mm512_loadu_si512(entries), index, _mm512_loadu_si512(entries + 32));
}
INLINE __m512i to_16_bits(__m512i low, __m512i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)), _mm512_cvtepi32_epi16(high),
                            1);
}
INLINE __m512i low_half(__m512i x) { return _mm512_cvtepu16_epi32(_mm512_castsi512_si256(x)); }
INLINE __m512i high_half(__m512i x) { return _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(x, 1)); }

// Plain classes and shift of each symbol's table.
struct Info {
  Info(const Tables& tables, __m512i index) {
    if (const Tables::Small* small = tables.small()) {
      const __m512i both = low_half(lookup_64(small->info, to_16_bits(index, index)));
      plain = _mm512_and_si512(both, all(0xff));
      shift = _mm512_srli_epi32(both, 8);
    } else {
      const __m512i both = field(tables, index, offsetof(Tables::Table, plain));
      plain = _mm512_and_si512(both, all(0xffff));
      shift = _mm512_and_si512(_mm512_srli_epi32(both, 16), all(0xff));
    }
  }
  bool any_shift() const { return _mm512_test_epi32_mask(shift, shift) != 0; }

  __m512i plain, shift;
};

INLINE __m512i packed_class(const Tables& tables, __m512i index, __m512i cls) {
  if (const Tables::Small* small = tables.small()) {
    const __m512i at = _mm512_add_epi32(_mm512_slli_epi32(index, 6), cls);
    return _mm512_i32gather_epi32(at, small->packed, 4);
  }
  return _mm512_i32gather_epi32(_mm512_add_epi32(first_class(tables, index), cls), tables.packed_data(), 4);
}

// Appends the low `shift` bits of each symbol.
INLINE void put_raw(__m512i symbols, __m512i shift, RawSink* raw) {
  const __m512i masks = _mm512_sub_epi32(_mm512_sllv_epi32(all(1), shift), all(1));
  const __m128i bytes = _mm512_cvtepi32_epi8(symbols), byte_masks = _mm512_cvtepi32_epi8(masks);
  const uint64_t mask[2] = {static_cast<uint64_t>(_mm_cvtsi128_si64(byte_masks)),
                            static_cast<uint64_t>(_mm_extract_epi64(byte_masks, 1))};
  const uint64_t value[2] = {static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)),
                             static_cast<uint64_t>(_mm_extract_epi64(bytes, 1))};
  for (int half = 0; half < 2; ++half) {
    raw->put(_pext_u64(value[half], mask[half]), __builtin_popcountll(mask[half]));
  }
}

size_t classify(const Tables& tables, const int32_t* symbols, const int32_t* indexes, size_t n,
                uint32_t* packed, RawSink* raw) {
  if (!tables.offsets_are_small()) return 0;  // else symbol - offset may wrap into the table
  RawSink sink = *raw;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const __m512i index = _mm512_loadu_si512(indexes + i), symbol = _mm512_loadu_si512(symbols + i);
    const Info info(tables, index);
    __m512i r = symbol;
    if (tables.has_shifts()) r = _mm512_srav_epi32(r, info.shift);
    if (tables.has_offsets()) r = _mm512_sub_epi32(r, value_offset(tables, index));
    if (tables.zigzag()) r = _mm512_xor_si512(_mm512_slli_epi32(r, 1), _mm512_srai_epi32(r, 31));
    if (_mm512_cmpge_epu32_mask(r, info.plain) != 0) break;
    _mm512_storeu_si512(packed + i, packed_class(tables, index, r));
    if (tables.has_shifts() && info.any_shift()) put_raw(symbol, info.shift, &sink);
  }
  *raw = sink;
  return i;
}

// One step of 16 lanes; their words, lane order kept, go below *end.
INLINE __m512i encode_step(__m512i x, __m512i packed, int precision, uint16_t** end) {
  const __m512i freq = _mm512_srli_epi32(packed, 16), start = _mm512_and_si512(packed, all(0xffff));
  const __mmask16 emits = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 32 - precision), freq);
  const unsigned count = static_cast<unsigned>(__builtin_popcount(emits));
  const __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(emits, x));
  *end -= count;
  _mm256_mask_storeu_epi16(*end, static_cast<__mmask16>((1u << count) - 1), words);
  x = _mm512_mask_srli_epi32(x, emits, x, 16);
  // x / freq < 2^(32 - precision) <= 2^22, so that the float quotient is off by one at most.
  __m512i quotient = _mm512_cvttps_epu32(_mm512_div_ps(_mm512_cvtepu32_ps(x), _mm512_cvtepu32_ps(freq)));
  __m512i rest = _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, freq));
  const __mmask16 over = _mm512_movepi32_mask(rest);
  quotient = _mm512_mask_sub_epi32(quotient, over, quotient, all(1));
  rest = _mm512_mask_add_epi32(rest, over, rest, freq);
  const __mmask16 under = _mm512_cmpge_epu32_mask(rest, freq);
  quotient = _mm512_mask_add_epi32(quotient, under, quotient, all(1));
  rest = _mm512_mask_sub_epi32(rest, under, rest, freq);
  return _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(quotient, precision), rest), start);
}

size_t encode(const uint32_t* packed, size_t n, int precision, uint32_t* states, uint16_t** end) {
  if (precision < 10 || n % 32 != 0) return 0;
  __m512i low = _mm512_loadu_si512(states), high = _mm512_loadu_si512(states + kLanes);
  for (size_t i = n; i > 0; i -= 32) {
    high = encode_step(high, _mm512_loadu_si512(packed + i - kLanes), precision, end);
    low = encode_step(low, _mm512_loadu_si512(packed + i - 2 * kLanes), precision, end);
  }
  _mm512_storeu_si512(states, low);
  _mm512_storeu_si512(states + kLanes, high);
  return n;
}

// States of 16 lanes after a class of which the state's slot lies `inside` slots behind its start.
INLINE __m512i advance(__m512i x, __m512i freq, __m512i inside, int precision, Words* words) {
  x = _mm512_add_epi32(_mm512_mullo_epi32(freq, _mm512_srli_epi32(x, precision)), inside);
  const __mmask16 refill = _mm512_cmplt_epu32_mask(x, all(kLowerBound));
  const __m512i next =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words->next)));
  words->next += 2 * __builtin_popcount(refill);
  x = _mm512_mask_slli_epi32(x, refill, x, 16);
  return _mm512_or_si512(x, _mm512_maskz_expand_epi32(refill, next));
}

// One step of 16 lanes, by the buckets: their classes, and the states after it.
INLINE __m512i decode_step(const Tables& tables, __m512i x, __m512i index, Words* words, uint16_t* classes) {
  const int precision = tables.precision();
  const __m512i slot = _mm512_and_si512(x, all((1 << precision) - 1));
  const __m512i bucket = _mm512_add_epi32(_mm512_slli_epi32(index, tables.bucket_bits()),
                                          _mm512_srli_epi32(slot, precision - tables.bucket_bits()));
  __m512i cls = _mm512_and_si512(_mm512_i32gather_epi32(bucket, tables.buckets_data(), 2), all(0xffff));
  __m512i at = _mm512_add_epi32(first_class(tables, index), cls);
  __m512i packed = _mm512_i32gather_epi32(at, tables.packed_data(), 4);
  __m512i inside = _mm512_sub_epi32(slot, _mm512_and_si512(packed, all(0xffff)));
  __mmask16 beyond;
  while ((beyond = _mm512_cmpge_epu32_mask(inside, _mm512_srli_epi32(packed, 16))) != 0) {
    cls = _mm512_mask_add_epi32(cls, beyond, cls, all(1));
    at = _mm512_mask_add_epi32(at, beyond, at, all(1));
    packed = _mm512_mask_i32gather_epi32(packed, beyond, at, tables.packed_data(), 4);
    inside = _mm512_sub_epi32(slot, _mm512_and_si512(packed, all(0xffff)));
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(classes), _mm512_cvtepi32_epi16(cls));
  return advance(x, _mm512_srli_epi32(packed, 16), inside, precision, words);
}

// One round of 32 lanes of a small set: class after class, until no slot lies beyond its start.
INLINE void decode_round(const Tables::Small& small, int precision, __m512i* low, __m512i* high,
                         const int32_t* indexes, Words* words, uint16_t* classes) {
  const __m512i index = to_16_bits(_mm512_loadu_si512(indexes), _mm512_loadu_si512(indexes + kLanes));
  const __m512i mask = all((1 << precision) - 1);
  const __m512i slot = to_16_bits(_mm512_and_si512(*low, mask), _mm512_and_si512(*high, mask));
  __m512i cls = _mm512_setzero_si512(), start = cls, end = _mm512_set1_epi16(-1);
  for (int c = 1;; ++c) {  // ends: row 64 lies beyond every slot
    const __m512i next = lookup_64(small.starts[c], index);
    const __mmask32 beyond = _mm512_cmpge_epu16_mask(slot, next);
    end = _mm512_mask_min_epu16(end, ~beyond, end, next);
    if (beyond == 0) break;
    cls = _mm512_mask_add_epi16(cls, beyond, cls, _mm512_set1_epi16(1));
    start = _mm512_mask_mov_epi16(start, beyond, next);
  }
  _mm512_storeu_si512(classes, cls);
  const __m512i freq = _mm512_sub_epi16(end, start), inside = _mm512_sub_epi16(slot, start);
  *low = advance(*low, low_half(freq), low_half(inside), precision, words);
  *high = advance(*high, high_half(freq), high_half(inside), precision, words);
}

size_t decode(const Tables& tables, const int32_t* indexes, size_t n, uint32_t* states, Words* words,
              uint16_t* classes) {
  __m512i low = _mm512_loadu_si512(states), high = _mm512_loadu_si512(states + kLanes);
  Words left = *words;
  const Tables::Small* small = tables.small();
  size_t i = 0;
  for (; i + 32 <= n && left.end - left.next >= 64; i += 32) {
    if (small != nullptr) {
      decode_round(*small, tables.precision(), &low, &high, indexes + i, &left, classes + i);
    } else {
      low = decode_step(tables, low, _mm512_loadu_si512(indexes + i), &left, classes + i);
      high = decode_step(tables, high, _mm512_loadu_si512(indexes + i + kLanes), &left, classes + i + kLanes);
    }
  }
  _mm512_storeu_si512(states, low);
  _mm512_storeu_si512(states + kLanes, high);
  *words = left;
  return i;
}

// Sums of all lanes up to and with each.
INLINE __m512i running_sum(__m512i x) {
  const __m512i zero = _mm512_setzero_si512();
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
  return _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
}

// The next `shift` raw bits of each lane; 20 bytes from the current one can be read.
INLINE __m512i take_raw(__m512i shift, RawSource* raw) {
  const __m512i end = running_sum(shift);
  const __m512i begin = _mm512_add_epi32(_mm512_sub_epi32(end, shift), all(static_cast<int>(raw->bit % 8)));
  const __m512i window =
      _mm512_i32gather_epi32(_mm512_srli_epi32(begin, 3), raw->data.data() + raw->bit / 8, 1);
  const __m512i mask = _mm512_sub_epi32(_mm512_sllv_epi32(all(1), shift), all(1));
  raw->bit += static_cast<size_t>(_mm_extract_epi32(_mm512_extracti32x4_epi32(end, 3), 3));
  return _mm512_and_si512(_mm512_srlv_epi32(window, _mm512_and_si512(begin, all(7))), mask);
}

size_t values(const Tables& tables, const int32_t* indexes, const uint16_t* classes, size_t n, RawSource* raw,
              int32_t* values) {
  const bool needs_info = tables.has_escapes() || tables.has_shifts();
  RawSource source = *raw;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const __m512i index = _mm512_loadu_si512(indexes + i);
    const __m512i cls =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(classes + i)));
    __m512i q = cls;
    if (tables.zigzag()) {
      const __m512i odd = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(cls, all(1)));
      q = _mm512_xor_si512(_mm512_srli_epi32(cls, 1), odd);
    }
    if (tables.has_offsets()) q = _mm512_add_epi32(q, value_offset(tables, index));
    if (needs_info) {
      const Info info(tables, index);
      // The class after the plain ones is the escape.
      if (_mm512_cmpeq_epi32_mask(cls, info.plain) != 0) break;
      if (info.any_shift()) {
        if (source.bit / 8 + 20 > source.data.size()) break;
        q = _mm512_or_si512(_mm512_sllv_epi32(q, info.shift), take_raw(info.shift, &source));
      }
    }
    _mm512_storeu_si512(values + i, q);
  }
  *raw = source;
  return i;
}

constexpr size_t kShortRow = 12;

// The frequencies of 16 rows of probabilities, class after class, by the rule of pmf.h.
class Rows {
 public:
  Rows(const Pmfs& pmfs, size_t row)
      : pmfs_(pmfs),
        first_(row * pmfs.classes),
        steps_(_mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                  all(static_cast<int>(pmfs.classes)))),
        spare_(static_cast<int>((1u << kPmfPrecision) - pmfs.classes)) {}

  // As the formula gives it, that of the last class included; lanes that are no probability go to `refused`.
  INLINE __m512i freq(size_t cls, __mmask16* refused) const {
    if (pmfs_.floats != nullptr) {
      const __m512 p = column(pmfs_.floats + first_, cls);
      *refused |= _mm512_cmp_ps_mask(p, _mm512_setzero_ps(), _CMP_NGE_UQ) |
                  _mm512_cmp_ps_mask(p, _mm512_set1_ps(1.0f), _CMP_NLE_UQ);
      const __m512 scaled = _mm512_mul_ps(p, _mm512_set1_ps(static_cast<float>(spare_)));
      return _mm512_add_epi32(_mm512_cvttps_epi32(scaled), all(1));
    }
    const __m512i pair = _mm512_i32gather_epi32(steps_, pmfs_.words + first_ + cls, 2);
    const __m512i u = _mm512_and_si512(pair, all(0xffff));
    return _mm512_add_epi32(_mm512_srli_epi32(_mm512_mullo_epi32(u, all(spare_)), 16), all(1));
  }

 private:
  // Element `cls` of each row. Short rows are loaded whole and permuted, which is faster than gathering.
  INLINE __m512 column(const float* rows, size_t cls) const {
    if (pmfs_.classes > kShortRow) return _mm512_i32gather_ps(steps_, rows + cls, 4);
    const __m512i at = _mm512_add_epi32(steps_, all(static_cast<int>(cls)));
    const __m512i pair = _mm512_srli_epi32(at, 5);
    __m512 column = _mm512_setzero_ps();
    for (size_t k = 0; 2 * k < pmfs_.classes; ++k, rows += 32) {
      const __m512 found = _mm512_permutex2var_ps(_mm512_loadu_ps(rows), at, _mm512_loadu_ps(rows + 16));
      column = _mm512_mask_mov_ps(column, _mm512_cmpeq_epi32_mask(pair, all(static_cast<int>(k))), found);
    }
    return column;
  }

  const Pmfs& pmfs_;
  const size_t first_;
  const __m512i steps_;
  const int spare_;
};

// Rows from `row` on that the loops may take: they read up to 16 elements beyond.
size_t readable_rows(const Pmfs& pmfs, size_t row, size_t n) {
  return row + n + 16 <= pmfs.rows ? n : n - std::min<size_t>(n, 16);
}

size_t classify_pmfs(const Pmfs& pmfs, size_t row, const int32_t* symbols, size_t n, uint32_t* packed) {
  const __m512i total = all(1 << kPmfPrecision);
  n = readable_rows(pmfs, row, n);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Rows rows(pmfs, row + i);
    const __m512i symbol = _mm512_loadu_si512(symbols + i);
    __m512i sum = _mm512_setzero_si512(), start = sum, freq = sum;
    __mmask16 refused = _mm512_cmpge_epu32_mask(symbol, all(static_cast<int>(pmfs.classes)));
    for (size_t c = 0; c < pmfs.classes; ++c) {
      const __mmask16 chosen = _mm512_cmpeq_epi32_mask(symbol, all(static_cast<int>(c)));
      const __m512i f = rows.freq(c, &refused);
      start = _mm512_mask_mov_epi32(start, chosen, sum);
      freq = _mm512_mask_mov_epi32(freq, chosen, c + 1 < pmfs.classes ? f : _mm512_sub_epi32(total, sum));
      sum = _mm512_add_epi32(sum, f);
    }
    if ((refused | _mm512_cmpgt_epi32_mask(sum, total)) != 0) break;
    _mm512_storeu_si512(packed + i, _mm512_or_si512(start, _mm512_slli_epi32(freq, 16)));
  }
  return i;
}

// One step of 16 lanes; false when a row is refused.
INLINE bool decode_pmf_step(const Pmfs& pmfs, size_t row, __m512i* x, Words* words, uint16_t* classes) {
  const Rows rows(pmfs, row);
  const __m512i total = all(1 << kPmfPrecision), slot = _mm512_and_si512(*x, all((1 << kPmfPrecision) - 1));
  __mmask16 refused = 0;
  __m512i sum = rows.freq(0, &refused), cls = _mm512_setzero_si512(), start = cls, end = total;
  for (size_t c = 1; c < pmfs.classes; ++c) {
    const __mmask16 beyond = _mm512_cmpge_epu32_mask(slot, sum);
    cls = _mm512_mask_add_epi32(cls, beyond, cls, all(1));
    start = _mm512_mask_mov_epi32(start, beyond, sum);
    end = _mm512_mask_min_epu32(end, ~beyond, end, sum);
    sum = _mm512_add_epi32(sum, rows.freq(c, &refused));
  }
  if ((refused | _mm512_cmpgt_epi32_mask(sum, total)) != 0) return false;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(classes), _mm512_cvtepi32_epi16(cls));
  *x = advance(*x, _mm512_sub_epi32(end, start), _mm512_sub_epi32(slot, start), kPmfPrecision, words);
  return true;
}

size_t decode_pmfs(const Pmfs& pmfs, size_t row, size_t n, uint32_t* states, Words* words,
                   uint16_t* classes) {
  n = readable_rows(pmfs, row, n);
  size_t i = 0;
  for (; i + 32 <= n && words->end - words->next >= 64; i += 32) {
    __m512i low = _mm512_loadu_si512(states), high = _mm512_loadu_si512(states + kLanes);
    Words left = *words;
    if (!decode_pmf_step(pmfs, row + i, &low, &left, classes + i) ||
        !decode_pmf_step(pmfs, row + i + kLanes, &high, &left, classes + i + kLanes)) {
      break;
    }
    _mm512_storeu_si512(states, low);
    _mm512_storeu_si512(states + kLanes, high);
    *words = left;
  }
  return i;
}

#undef INLINE

}  // namespace

const BlockLoops& avx512_block_loops() {
  static constexpr BlockLoops kLoops = {classify, encode, decode, values, classify_pmfs, decode_pmfs};
  return kLoops;
}

}  // namespace pycodec::rans
