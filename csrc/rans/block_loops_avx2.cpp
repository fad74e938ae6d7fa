// The block loops in AVX2, all by gathers.
#include "rans/block_loops.h"
#include "rans/lanes_avx2.h"
#include "rans/rounds.h"

namespace pycodec::rans {
namespace {

INLINE __m256i gather(const void* base, __m256i index) {
  return _mm256_i32gather_epi32(static_cast<const int*>(base), index, 4);
}
// Reads one word more.
INLINE __m256i gather_words(const uint16_t* base, __m256i index) {
  const __m256i pair = _mm256_i32gather_epi32(reinterpret_cast<const int*>(base), index, 2);
  return _mm256_and_si256(pair, all(0xffff));
}
INLINE __m256i from_packed(__m256i packed, __m256i slot) {
  return _mm256_sub_epi32(slot, _mm256_and_si256(packed, all(0xffff)));
}

// 8 masks of the low `shift` bits, a byte each.
INLINE uint64_t low_masks(__m256i shift) {
  const __m256i masks = _mm256_sub_epi32(_mm256_sllv_epi32(all(1), shift), all(1));
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(masks), _mm256_extracti128_si256(masks, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(words, words)));
}

// Tables: from the slot's bucket a first class, then on from class to class.
class AnySet {
 public:
  explicit AnySet(const Tables& tables) : tables_(tables) {}

  INLINE bool encode(const IntArray& symbols, const IntArray& indexes, size_t at, Lanes* packed,
                     RawSink* raw) const {
    Lanes index, symbol;
    if (!load_indexes(indexes, at, tables_.size(), &index) || !load_32(symbols, at, &symbol)) return false;
    uint64_t masks[4] = {}, bytes[4] = {};
    __m256i wrong = _mm256_setzero_si256();
    each<4>(EACH(j) {
      __m256i number = symbol.part[j];
      const Info info(tables_, index.part[j]);
      if (tables_.has_offsets())
        number = _mm256_sub_epi32(number, gather(tables_.base_data(), index.part[j]));
      if (tables_.has_shifts()) number = _mm256_srav_epi32(number, info.shift);
      if (tables_.zigzag()) {
        number = _mm256_xor_si256(_mm256_slli_epi32(number, 1), _mm256_srai_epi32(number, 31));
      }
      const __m256i other = outside(number, info.plain);
      wrong = _mm256_or_si256(wrong, other);
      number = _mm256_andnot_si256(other, number);
      packed->part[j] = gather(tables_.packed_data(), _mm256_add_epi32(first_class(index.part[j]), number));
      if (tables_.has_shifts()) {
        masks[j] = low_masks(info.shift);
        const __m256i low = _mm256_and_si256(symbol.part[j], all(0xff));
        const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
        bytes[j] = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(words, words)));
      }
    });
    if (!none(wrong)) return false;
    each<4>(EACH(j) {
      if (masks[3 - j] != 0) {
        raw->put(_pext_u64(bytes[3 - j], masks[3 - j]), __builtin_popcountll(masks[3 - j]));
      }
    });
    return true;
  }

  INLINE bool decode(const Lanes& x, const IntArray& indexes, size_t at, Found* found, Lanes* value,
                     RawSource* raw) const {
    Lanes index;
    if (!load_indexes(indexes, at, tables_.size(), &index)) return false;
    uint64_t masks[4] = {};
    __m256i escapes = _mm256_setzero_si256();
    each<4>(EACH(j) {
      const __m256i cls = find(x.part[j], index.part[j], &found->freq.part[j], &found->inside.part[j]);
      __m256i v = cls;
      if (tables_.zigzag()) {
        const __m256i odd = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(v, all(1)));
        v = _mm256_xor_si256(_mm256_srli_epi32(v, 1), odd);
      }
      if (tables_.has_escapes() || tables_.has_shifts()) {
        const Info info(tables_, index.part[j]);
        // The class after the plain ones is the escape.
        escapes = _mm256_or_si256(escapes, _mm256_cmpeq_epi32(cls, info.plain));
        v = _mm256_sllv_epi32(v, info.shift);
        masks[j] = low_masks(info.shift);
      }
      if (tables_.has_offsets()) v = _mm256_add_epi32(v, gather(tables_.base_data(), index.part[j]));
      value->part[j] = v;
    });
    if (!none(escapes)) return false;
    if ((masks[0] | masks[1] | masks[2] | masks[3]) == 0) return true;
    if (raw->bit / 8 + 40 > raw->data.size()) return false;
    each<4>(EACH(j) {
      uint64_t window;
      std::memcpy(&window, raw->data.data() + raw->bit / 8, 8);
      const uint64_t low = _pdep_u64(window >> (raw->bit % 8), masks[j]);
      value->part[j] = _mm256_add_epi32(value->part[j],
                                        _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(low))));
      raw->bit += static_cast<size_t>(__builtin_popcountll(masks[j]));
    });
    return true;
  }

 private:
  // A field of each symbol's Tables::Table.
  static INLINE __m256i field(const Tables& tables, __m256i index, size_t offset) {
    return gather(reinterpret_cast<const char*>(tables.data()) + offset, _mm256_slli_epi32(index, 2));
  }
  INLINE __m256i first_class(__m256i index) const {
    if (tables_.size() == 1) return _mm256_setzero_si256();
    return field(tables_, index, offsetof(Tables::Table, first));
  }

  // Plain classes and shift of each symbol's table.
  struct Info {
    INLINE Info(const Tables& tables, __m256i index) {
      const __m256i both =
          tables.size() == 1
              ? all(static_cast<int32_t>(tables.data()->plain | tables.data()->shift << 16))
              : _mm256_and_si256(field(tables, index, offsetof(Tables::Table, plain)), all(0xffffff));
      plain = _mm256_and_si256(both, all(0xffff));
      shift = _mm256_srli_epi32(both, 16);
    }
    __m256i plain, shift;
  };

  INLINE __m256i find(__m256i x, __m256i index, __m256i* freq, __m256i* inside) const {
    const int precision = tables_.precision(), bits = tables_.bucket_bits();
    const __m256i slot = _mm256_and_si256(x, all((1 << precision) - 1)), first = first_class(index);
    const __m256i bucket =
        _mm256_add_epi32(_mm256_slli_epi32(index, bits), _mm256_srli_epi32(slot, precision - bits));
    __m256i at = _mm256_add_epi32(first, gather_words(tables_.buckets_data(), bucket));
    __m256i packed = gather(tables_.packed_data(), at), within;
    for (;;) {
      *inside = from_packed(packed, slot);
      within = _mm256_cmpgt_epi32(_mm256_srli_epi32(packed, 16), *inside);
      if (lanes_of(within) == 0xff) break;
      at = _mm256_add_epi32(at, _mm256_andnot_si256(within, all(1)));
      packed = gather(tables_.packed_data(), at);
    }
    *freq = _mm256_srli_epi32(packed, 16);
    return _mm256_sub_epi32(at, first);
  }

  const Tables& tables_;
};

constexpr size_t kAhead = 8 * kRound;

// Rows of probabilities.
class Rows {
 public:
  INLINE Rows(const Pmfs& pmfs, size_t row)
      : pmfs_(pmfs),
        first_(row * pmfs.classes),
        steps_(_mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                  all(static_cast<int>(pmfs.classes)))),
        spare_(static_cast<int>((1u << kPmfPrecision) - pmfs.classes)) {}

  // The frequencies of a class in rows 8 part .. 8 part + 7, as the formula gives them, those of the last
  // class included; lanes that are no probability go to `refused`.
  INLINE __m256i freq(int part, size_t cls, __m256i* refused) const {
    const size_t at = first_ + 8 * static_cast<size_t>(part) * pmfs_.classes + cls;
    if (pmfs_.floats != nullptr) {
      const __m256 p = _mm256_i32gather_ps(pmfs_.floats + at, steps_, 4);
      // Valid ones are, as integers, at most those of 1.0f.
      *refused = _mm256_or_si256(*refused, outside(_mm256_castps_si256(p), all(0x3f800001)));
      const __m256 scaled = _mm256_mul_ps(p, _mm256_set1_ps(static_cast<float>(spare_)));
      return _mm256_add_epi32(_mm256_cvttps_epi32(scaled), all(1));
    }
    const __m256i u = gather_words(pmfs_.words + at, steps_);
    return _mm256_add_epi32(_mm256_srli_epi32(_mm256_mullo_epi32(u, all(spare_)), 16), all(1));
  }

 private:
  const Pmfs& pmfs_;
  const size_t first_;
  const __m256i steps_;
  const int spare_;
};

// Whether 32 rows can be read: gathers of words read one more.
INLINE bool readable(const Pmfs& pmfs, size_t row) {
  return pmfs.floats != nullptr || row + kRound < pmfs.rows;
}

INLINE bool classify_rows(const Pmfs& pmfs, const IntArray& symbols, size_t at, Lanes* packed) {
  const __m256i total = all(1 << kPmfPrecision), end = all(static_cast<int>(pmfs.classes));
  Lanes symbol;
  if (!readable(pmfs, at) || !load_32(symbols, at, &symbol)) return false;
  const Rows rows(pmfs, at);
  __m256i refused = _mm256_setzero_si256();
  each<4>(EACH(j) {
    __m256i sum = _mm256_setzero_si256(), start = sum, freq = sum;
    refused = _mm256_or_si256(refused, outside(symbol.part[j], end));
    for (size_t c = 0; c < pmfs.classes; ++c) {
      const __m256i chosen = _mm256_cmpeq_epi32(symbol.part[j], all(static_cast<int>(c)));
      const __m256i f = rows.freq(j, c, &refused);
      start = _mm256_blendv_epi8(start, sum, chosen);
      freq = _mm256_blendv_epi8(freq, c + 1 < pmfs.classes ? f : _mm256_sub_epi32(total, sum), chosen);
      sum = _mm256_add_epi32(sum, f);
    }
    refused = _mm256_or_si256(refused, _mm256_cmpgt_epi32(sum, total));
    packed->part[j] = _mm256_or_si256(start, _mm256_slli_epi32(freq, 16));
  });
  return none(refused);
}

INLINE bool find_rows(const Pmfs& pmfs, const Lanes& x, size_t at, Found* found, Lanes* value) {
  const __m256i total = all(1 << kPmfPrecision);
  if (!readable(pmfs, at)) return false;
  const Rows rows(pmfs, at);
  __m256i refused = _mm256_setzero_si256();
  each<4>(EACH(j) {
    const __m256i slot = _mm256_and_si256(x.part[j], all((1 << kPmfPrecision) - 1));
    __m256i sum = rows.freq(j, 0, &refused), cls = _mm256_setzero_si256(), start = cls, end = total;
    for (size_t c = 1; c < pmfs.classes; ++c) {
      const __m256i before = _mm256_cmpgt_epi32(sum, slot);
      cls = _mm256_add_epi32(cls, _mm256_andnot_si256(before, all(1)));
      start = _mm256_blendv_epi8(sum, start, before);
      end = _mm256_min_epi32(end, _mm256_blendv_epi8(end, sum, before));
      sum = _mm256_add_epi32(sum, rows.freq(j, c, &refused));
    }
    refused = _mm256_or_si256(refused, _mm256_cmpgt_epi32(sum, total));
    found->freq.part[j] = _mm256_sub_epi32(end, start);
    found->inside.part[j] = _mm256_sub_epi32(slot, start);
    value->part[j] = cls;
  });
  return none(refused);
}

size_t classify(const Tables& tables, const IntArray& symbols, const IntArray& indexes, size_t begin,
                size_t rounds, uint32_t* packed, RawSink* raw) {
  if (!tables.bases_are_small()) return 0;
  const AnySet set(tables);
  for (size_t r = 0; r < rounds; ++r) {
    Lanes round;
    if (!set.encode(symbols, indexes, begin + r * kRound, &round, raw)) return r;
    store_lanes(packed + r * kRound, round);
  }
  return rounds;
}

size_t classify_pmfs(const Pmfs& pmfs, const IntArray& symbols, size_t begin, size_t rounds,
                     uint32_t* packed) {
  for (size_t r = 0; r < rounds; ++r) {
    Lanes round;
    if (!classify_rows(pmfs, symbols, begin + r * kRound, &round)) return r;
    store_lanes(packed + r * kRound, round);
  }
  return rounds;
}

// One chunk after the other: four registers are as many chains already.
void encode(const Tables& tables, const IntArray& symbols, const IntArray& indexes, EncodingLanes* chunks,
            size_t count, size_t rounds) {
  // Else symbol - base may wrap into the table.
  if (tables.precision() < kMinEncodePrecision || !tables.bases_are_small()) return;
  const AnySet set(tables);
  for (size_t k = 0; k < count; ++k) {
    encode_rounds<1, 1>(
        chunks + k, rounds, tables.precision(),
        [&](auto, const size_t* at, Lanes* packed, RawSink* raw)
            __attribute__((always_inline)) { return set.encode(symbols, indexes, *at, packed, raw); });
  }
}

void decode(const Tables& tables, const IntArray& indexes, const MutableIntArray& out, DecodingLanes* chunks,
            size_t count, size_t rounds) {
  const AnySet set(tables);
  for (size_t k = 0; k < count; ++k) {
    decode_rounds<1, 1>(
        chunks + k, rounds, tables.precision(), out,
        [&](auto, const Lanes* x, const size_t* at, Found* found, Lanes* value, RawSource* raw)
            __attribute__((always_inline)) { return set.decode(*x, indexes, *at, found, value, raw); });
  }
}

void encode_pmfs(const Pmfs& pmfs, const IntArray& symbols, EncodingLanes* chunks, size_t count,
                 size_t rounds) {
  for (size_t k = 0; k < count; ++k) {
    encode_rounds<1, 1>(chunks + k, rounds, kPmfPrecision,
                        [&](auto, const size_t* at, Lanes* packed, RawSink*) __attribute__((always_inline)) {
                          // Backward: the machine itself foresees only what goes forward.
                          if (*at >= kAhead) pmfs.prefetch(*at - kAhead, kRound);
                          return classify_rows(pmfs, symbols, *at, packed);
                        });
  }
}

void decode_pmfs(const Pmfs& pmfs, const MutableIntArray& out, DecodingLanes* chunks, size_t count,
                 size_t rounds) {
  for (size_t k = 0; k < count; ++k) {
    decode_rounds<1, 1>(
        chunks + k, rounds, kPmfPrecision, out,
        [&](auto, const Lanes* x, const size_t* at, Found* found, Lanes* value, RawSource*)
            __attribute__((always_inline)) { return find_rows(pmfs, *x, *at, found, value); });
  }
}

}  // namespace

const BlockLoops& avx2_block_loops() {
  static constexpr BlockLoops kLoops = {classify, classify_pmfs, encode, decode, encode_pmfs, decode_pmfs};
  return kLoops;
}

}  // namespace pycodec::rans
