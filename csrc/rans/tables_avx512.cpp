// The block loops for prepared tables in AVX-512. Three kinds of sets are looked up in different ways: a
// single table, a small set and any set. Each kind answers two questions for a round of every chunk: which
// packed classes symbols have, and which classes states are in.
#include <utility>

#include "rans/lanes_avx512.h"
#include "rans/rounds.h"

namespace pycodec::rans {
namespace {

// The four bytes of a packed class are looked up by permutations of bytes, for 64 classes at a time. Their
// order is the one that unpacking bytes to 32 bits within each 128 undoes: byte 16 j + 4 v + i belongs to
// element 4 j + i of the v-th register of 16 lanes.
class SingleTable {
 public:
  static constexpr bool kTogether = true;

  explicit SingleTable(const Tables& tables)
      : single_(*tables.single()),
        precision_(tables.precision()),
        has_escapes_(tables.has_escapes()),
        offset_(tables.base_data()[0]) {}

  template <int C>
  INLINE bool encode(const IntArray& symbols, const IntArray& indexes, const size_t* at, Lanes* packed,
                     RawSink*) const {
    const __m512i offset = all(offset_), plain = all(single_.plain);
    Lanes cls[2] = {};
    bool good = true;
    each<C>(EACH(k) {
      good &= load_32(symbols, at[k], &cls[k]) & all_zero(indexes, at[k]);
      cls[k] = {_mm512_sub_epi32(cls[k].low, offset), _mm512_sub_epi32(cls[k].high, offset)};
      good &= (_mm512_cmpge_epu32_mask(cls[k].low, plain) | _mm512_cmpge_epu32_mask(cls[k].high, plain)) == 0;
    });
    look_up<C>(_mm512_packus_epi16(_mm512_packus_epi32(cls[0].low, cls[0].high),
                                   _mm512_packus_epi32(cls[1].low, cls[1].high)),
               packed);
    return good;
  }

  template <int C>
  INLINE bool decode(const Lanes* x, const IntArray& indexes, const size_t* at, Found* found, Lanes* value,
                     RawSource*) const {
    const __m512i mask = all_words((1 << precision_) - 1), offset = all(offset_);
    if (precision_ <= 12) {
      bool good = true;
      each<C>(EACH(k) {
        const __m512i mask = all((1 << precision_) - 1);
        const Lanes entry = {
            _mm512_i32gather_epi32(_mm512_and_si512(x[k].low, mask), single_.entries.data(), 4),
            _mm512_i32gather_epi32(_mm512_and_si512(x[k].high, mask), single_.entries.data(), 4)};
        good &= all_zero(indexes, at[k]);
        good &= take_entry(entry.low, &found[k].freq.low, &found[k].inside.low, &value[k].low);
        good &= take_entry(entry.high, &found[k].freq.high, &found[k].inside.high, &value[k].high);
      });
      return good;
    }
    const __m512i start = all(0xffff);
    alignas(64) uint16_t slots[32 * C];
    bool good = true;
    Lanes packed[C];
    each<C>(EACH(k) {
      good &= all_zero(indexes, at[k]);
      _mm512_store_si512(slots + 32 * k, _mm512_and_si512(low_words(x[k]), mask));
    });
    const auto part = [&](int j) __attribute__((always_inline)) {
      return look_up_bytes(single_.classes.data(), slots + 4 * j, std::make_index_sequence<8 * C>());
    };
    const __m256i first = _mm256_set_m128i(part(1), part(0)), last = _mm256_set_m128i(part(3), part(2));
    const __m512i cls = _mm512_inserti64x4(_mm512_castsi256_si512(first), last, 1);
    look_up<C>(cls, packed);
    unpack<C>(cls, _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), value);
    if (has_escapes_)
      good &= _mm512_cmpeq_epi8_mask(cls, _mm512_set1_epi8(static_cast<char>(single_.plain))) == 0;
    each<C>(EACH(k) {
      const Lanes slot = zero_extend(_mm512_load_si512(slots + 32 * k));
      found[k].freq = {_mm512_srli_epi32(packed[k].low, 16), _mm512_srli_epi32(packed[k].high, 16)};
      found[k].inside = {_mm512_sub_epi32(slot.low, _mm512_and_si512(packed[k].low, start)),
                         _mm512_sub_epi32(slot.high, _mm512_and_si512(packed[k].high, start))};
      value[k] = {_mm512_add_epi32(value[k].low, offset), _mm512_add_epi32(value[k].high, offset)};
    });
    return good;
  }

 private:
  static INLINE bool all_zero(const IntArray& indexes, size_t at) {
    Lanes index;
    return indexes.size == 0 || load_indexes(indexes, at, 1, &index);
  }

  INLINE bool take_entry(__m512i entry, __m512i* freq, __m512i* inside, __m512i* value) const {
    const __m512i cls = _mm512_and_si512(entry, all(0xff));
    *freq = _mm512_add_epi32(_mm512_srli_epi32(entry, 20), all(1));
    *inside = _mm512_and_si512(_mm512_srli_epi32(entry, 8), all(0xfff));
    *value = _mm512_add_epi32(cls, all(offset_));
    return !has_escapes_ || _mm512_cmpeq_epi32_mask(cls, all(single_.plain)) == 0;
  }

  static INLINE __m512i look_up(const uint8_t* bytes, __m512i index) {
    const __m512i first =
        _mm512_permutex2var_epi8(_mm512_loadu_si512(bytes), index, _mm512_loadu_si512(bytes + 64));
    const __m512i last =
        _mm512_permutex2var_epi8(_mm512_loadu_si512(bytes + 128), index, _mm512_loadu_si512(bytes + 192));
    return _mm512_mask_mov_epi8(first, _mm512_movepi8_mask(index), last);
  }
  template <int C>
  INLINE void look_up(__m512i cls, Lanes* packed) const {
    unpack<C>(look_up(single_.bytes[0], cls), look_up(single_.bytes[1], cls), look_up(single_.bytes[2], cls),
              look_up(single_.bytes[3], cls), packed);
  }

  template <int C>
  static INLINE void unpack(__m512i byte0, __m512i byte1, __m512i byte2, __m512i byte3, Lanes* v) {
    const __m512i low = _mm512_unpacklo_epi8(byte0, byte1), high = _mm512_unpacklo_epi8(byte2, byte3);
    v[0] = {_mm512_unpacklo_epi16(low, high), _mm512_unpackhi_epi16(low, high)};
    if constexpr (C > 1) {
      const __m512i low2 = _mm512_unpackhi_epi8(byte0, byte1), high2 = _mm512_unpackhi_epi8(byte2, byte3);
      v[1] = {_mm512_unpacklo_epi16(low2, high2), _mm512_unpackhi_epi16(low2, high2)};
    }
  }

  const Tables::Single& single_;
  const int precision_;
  const bool has_escapes_;
  const int32_t offset_;
};

// 16-bit entry of each symbol's table, of 64.
INLINE __m512i look_up_64(const uint16_t* entries, __m512i index) {
  return _mm512_permutex2var_epi16(_mm512_loadu_si512(entries), index, _mm512_loadu_si512(entries + 32));
}

// Four times eight bytes, or eight times four bits of each, of words below 256.
struct Eights {
  explicit INLINE Eights(__m512i words) {
    const __m256i bytes = _mm512_cvtepi16_epi8(words);
    part[0] = static_cast<uint64_t>(_mm256_extract_epi64(bytes, 0));
    part[1] = static_cast<uint64_t>(_mm256_extract_epi64(bytes, 1));
    part[2] = static_cast<uint64_t>(_mm256_extract_epi64(bytes, 2));
    part[3] = static_cast<uint64_t>(_mm256_extract_epi64(bytes, 3));
  }
  uint64_t part[4];
};
INLINE __m512i low_masks(__m512i shift) {
  return _mm512_sub_epi16(_mm512_sllv_epi16(all_words(1), shift), all_words(1));
}

// Puts the low `shift` bits of 32 symbols.
INLINE void put_raw(__m512i symbols, __m512i shift, RawSink* raw) {
  const Eights mask(low_masks(shift)), value(_mm512_and_si512(symbols, all_words(0xff)));
  for (int j = 3; j >= 0; --j) {
    raw->put(_pext_u64(value.part[j], mask.part[j]), __builtin_popcountll(mask.part[j]));
  }
}

// The next `shift` raw bits of 32 symbols; false near the end of the data.
INLINE bool take_raw(__m512i shift, RawSource* raw, __m512i* low) {
  const Eights mask(low_masks(shift));
  if (raw->bit / 8 + 40 > raw->data.size()) {
    *low = _mm512_setzero_si512();
    return (mask.part[0] | mask.part[1] | mask.part[2] | mask.part[3]) == 0;
  }
  uint64_t value[4];
  for (int j = 0; j < 4; ++j) {
    uint64_t window;
    std::memcpy(&window, raw->data.data() + raw->bit / 8, 8);
    value[j] = _pdep_u64(window >> (raw->bit % 8), mask.part[j]);
    raw->bit += static_cast<size_t>(__builtin_popcountll(mask.part[j]));
  }
  *low =
      _mm512_cvtepu8_epi16(_mm256_set_epi64x(static_cast<int64_t>(value[3]), static_cast<int64_t>(value[2]),
                                             static_cast<int64_t>(value[1]), static_cast<int64_t>(value[0])));
  return true;
}

// base_data() of each symbol's table.
INLINE Lanes bases(const Tables& tables, Lanes index) {
  return {_mm512_i32gather_epi32(index.low, tables.base_data(), 4),
          _mm512_i32gather_epi32(index.high, tables.base_data(), 4)};
}

// At most 64 tables of at most 64 classes: numbers of classes and their values fit words.
class SmallSet {
 public:
  static constexpr bool kTogether = false;

  explicit SmallSet(const Tables& tables)
      : tables_(tables),
        small_(*tables.small()),
        zigzag_(tables.zigzag()),
        has_shifts_(tables.has_shifts()),
        has_offsets_(tables.has_offsets()),
        has_escapes_(tables.has_escapes()) {}

  template <int>
  INLINE bool encode(const IntArray& symbols, const IntArray& indexes, const size_t* at, Lanes* packed,
                     RawSink* raw) const {
    __m512i index;
    Lanes symbol;
    if (!load_index_words(indexes, *at, tables_.size(), &index) || !load_32(symbols, *at, &symbol))
      return false;
    if (has_offsets_) {
      const Lanes base = bases(tables_, zero_extend(index));
      symbol = {_mm512_sub_epi32(symbol.low, base.low), _mm512_sub_epi32(symbol.high, base.high)};
    }
    // What words cannot hold saturates, and is no class of these tables either way.
    const __m512i in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i words = _mm512_permutexvar_epi64(in_order, _mm512_packs_epi32(symbol.low, symbol.high));
    const __m512i shift = look_up_64(small_.shifts, index);
    __m512i number = words;
    if (has_shifts_) number = _mm512_srav_epi16(number, shift);
    if (zigzag_) number = _mm512_xor_si512(_mm512_slli_epi16(number, 1), _mm512_srai_epi16(number, 15));
    if (_mm512_cmpge_epu16_mask(number, look_up_64(small_.plain, index)) != 0) return false;
    *packed = look_up_32(small_.packed[0], _mm512_or_si512(_mm512_slli_epi16(index, 6), number));
    if (has_shifts_) put_raw(words, shift, raw);
    return true;
  }

  // Class after class, until no slot lies beyond its start.
  template <int>
  INLINE bool decode(const Lanes* x, const IntArray& indexes, const size_t* at, Found* found, Lanes* value,
                     RawSource* raw) {
    __m512i index;
    if (!load_index_words(indexes, *at, tables_.size(), &index)) return false;
    const __m512i slot = _mm512_and_si512(low_words(*x), all_words((1 << tables_.precision()) - 1));
    // Steps of four classes until no slot lies beyond one, then halves of the last step.
    __m512i cls = _mm512_setzero_si512(), start = cls, second = cls, third = cls, fourth = cls, end = cls;
    __mmask32 beyond = ~__mmask32{0};
    const uint16_t (*row)[64] = &small_.starts[1];
    const auto step = [&]() __attribute__((always_inline)) {
      const __m512i next = look_up_64(row[3], index);
      second = _mm512_mask_mov_epi16(second, beyond, look_up_64(row[0], index));
      third = _mm512_mask_mov_epi16(third, beyond, look_up_64(row[1], index));
      fourth = _mm512_mask_mov_epi16(fourth, beyond, look_up_64(row[2], index));
      end = _mm512_mask_mov_epi16(end, beyond, next);
      beyond = _mm512_cmpge_epu16_mask(slot, next);
      start = _mm512_mask_mov_epi16(start, beyond, next);
      cls = _mm512_mask_add_epi16(cls, beyond, cls, all_words(4));
      row += 4;
    };
    for (int g = usual_ / kUsualUnit; g > 0; --g) step();
    if (beyond == 0) {
      usual_ -= usual_ > kUsualUnit ? 1 : 0;
    } else {
      usual_ = std::min(usual_ + kUsualStep, kUsualMost);
      while (beyond != 0) step();  // ends: row 64 lies beyond every slot
    }
    const __mmask32 last_two = _mm512_cmpge_epu16_mask(slot, third);
    second = _mm512_mask_mov_epi16(second, last_two, fourth);
    start = _mm512_mask_mov_epi16(start, last_two, third);
    end = _mm512_mask_mov_epi16(third, last_two, end);
    cls = _mm512_mask_add_epi16(cls, last_two, cls, all_words(2));
    const __mmask32 last = _mm512_cmpge_epu16_mask(slot, second);
    start = _mm512_mask_mov_epi16(start, last, second);
    end = _mm512_mask_mov_epi16(second, last, end);
    cls = _mm512_mask_add_epi16(cls, last, cls, all_words(1));
    found->freq = zero_extend(_mm512_sub_epi16(end, start));
    found->inside = zero_extend(_mm512_sub_epi16(slot, start));
    if (has_escapes_ && _mm512_cmpeq_epi16_mask(cls, look_up_64(small_.plain, index)) != 0) return false;
    __m512i v = cls;
    if (zigzag_) {
      const __m512i odd = _mm512_sub_epi16(_mm512_setzero_si512(), _mm512_and_si512(v, all_words(1)));
      v = _mm512_xor_si512(_mm512_srli_epi16(v, 1), odd);
    }
    if (has_shifts_) {
      const __m512i shift = look_up_64(small_.shifts, index);
      __m512i low;
      if (!take_raw(shift, raw, &low)) return false;
      v = _mm512_or_si512(_mm512_sllv_epi16(v, shift), low);
    }
    *value = sign_extend(v);
    if (has_offsets_) {
      const Lanes base = bases(tables_, zero_extend(index));
      *value = {_mm512_add_epi32(value->low, base.low), _mm512_add_epi32(value->high, base.high)};
    }
    return true;
  }

 private:
  static constexpr int kUsualUnit = 64, kUsualStep = 8, kUsualMost = 16 * kUsualUnit;

  const Tables& tables_;
  const Tables::Small& small_;
  const bool zigzag_, has_shifts_, has_offsets_, has_escapes_;
  int usual_ = 2 * kUsualUnit;
};

// Any tables, by gathers: from the slot's bucket a first class, then on from class to class.
class AnySet {
 public:
  static constexpr bool kTogether = false;

  explicit AnySet(const Tables& tables) : tables_(tables) {}

  template <int>
  INLINE bool encode(const IntArray& symbols, const IntArray& indexes, const size_t* at, Lanes* packed,
                     RawSink* raw) const {
    Lanes index, symbol;
    if (!load_indexes(indexes, *at, tables_.size(), &index) || !load_32(symbols, *at, &symbol)) return false;
    const Info low(tables_, index.low), high(tables_, index.high);
    if (!classify(symbol.low, index.low, low, &packed->low) ||
        !classify(symbol.high, index.high, high, &packed->high)) {
      return false;
    }
    if (tables_.has_shifts()) put_raw(low_words(symbol), low_words({low.shift, high.shift}), raw);
    return true;
  }

  template <int>
  INLINE bool decode(const Lanes* x, const IntArray& indexes, const size_t* at, Found* found, Lanes* value,
                     RawSource* raw) const {
    Lanes index;
    if (!load_indexes(indexes, *at, tables_.size(), &index)) return false;
    Lanes v = {find(x->low, index.low, &found->freq.low, &found->inside.low),
               find(x->high, index.high, &found->freq.high, &found->inside.high)};
    const Info low(tables_, index.low), high(tables_, index.high);
    // The class after the plain ones is the escape.
    if ((_mm512_cmpeq_epi32_mask(v.low, low.plain) | _mm512_cmpeq_epi32_mask(v.high, high.plain)) != 0)
      return false;
    if (tables_.zigzag()) v = {unzigzag(v.low), unzigzag(v.high)};
    if (tables_.has_shifts()) {
      __m512i words;
      if (!take_raw(low_words({low.shift, high.shift}), raw, &words)) return false;
      const Lanes bits = zero_extend(words);
      v = {_mm512_or_si512(_mm512_sllv_epi32(v.low, low.shift), bits.low),
           _mm512_or_si512(_mm512_sllv_epi32(v.high, high.shift), bits.high)};
    }
    if (tables_.has_offsets()) {
      const Lanes base = bases(tables_, index);
      v = {_mm512_add_epi32(v.low, base.low), _mm512_add_epi32(v.high, base.high)};
    }
    *value = v;
    return true;
  }

 private:
  // A field of each symbol's Tables::Table.
  static INLINE __m512i field(const Tables& tables, __m512i index, size_t offset) {
    const auto* base = reinterpret_cast<const char*>(tables.data()) + offset;
    return _mm512_i32gather_epi32(_mm512_slli_epi32(index, 2), base, 4);
  }
  INLINE __m512i first_class(__m512i index) const {
    return tables_.size() == 1 ? _mm512_setzero_si512()
                               : field(tables_, index, offsetof(Tables::Table, first));
  }

  // Plain classes and shift of each symbol's table.
  struct Info {
    INLINE Info(const Tables& tables, __m512i index) {
      const __m512i both = field(tables, index, offsetof(Tables::Table, plain));
      plain = _mm512_and_si512(both, all(0xffff));
      shift = _mm512_and_si512(_mm512_srli_epi32(both, 16), all(0xff));
    }
    __m512i plain, shift;
  };

  INLINE bool classify(__m512i symbol, __m512i index, const Info& info, __m512i* packed) const {
    if (tables_.has_offsets()) {
      symbol = _mm512_sub_epi32(symbol, _mm512_i32gather_epi32(index, tables_.base_data(), 4));
    }
    __m512i number = _mm512_srav_epi32(symbol, info.shift);
    if (tables_.zigzag())
      number = _mm512_xor_si512(_mm512_slli_epi32(number, 1), _mm512_srai_epi32(number, 31));
    const __mmask16 classes = _mm512_cmplt_epu32_mask(number, info.plain);
    *packed =
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), classes,
                                    _mm512_add_epi32(first_class(index), number), tables_.packed_data(), 4);
    return classes == 0xffff;
  }

  INLINE __m512i find(__m512i x, __m512i index, __m512i* freq, __m512i* inside) const {
    const int precision = tables_.precision(), bits = tables_.bucket_bits();
    const __m512i slot = _mm512_and_si512(x, all((1 << precision) - 1));
    const __m512i bucket =
        _mm512_add_epi32(_mm512_slli_epi32(index, bits), _mm512_srli_epi32(slot, precision - bits));
    const __m512i first = first_class(index);
    __m512i at = _mm512_add_epi32(
        first, _mm512_and_si512(_mm512_i32gather_epi32(bucket, tables_.buckets_data(), 2), all(0xffff)));
    __m512i packed = _mm512_i32gather_epi32(at, tables_.packed_data(), 4);
    *inside = _mm512_sub_epi32(slot, _mm512_and_si512(packed, all(0xffff)));
    __mmask16 beyond;
    while ((beyond = _mm512_cmpge_epu32_mask(*inside, _mm512_srli_epi32(packed, 16))) != 0) {
      at = _mm512_mask_add_epi32(at, beyond, at, all(1));
      packed = _mm512_mask_i32gather_epi32(packed, beyond, at, tables_.packed_data(), 4);
      *inside = _mm512_sub_epi32(slot, _mm512_and_si512(packed, all(0xffff)));
    }
    *freq = _mm512_srli_epi32(packed, 16);
    return _mm512_sub_epi32(at, first);
  }

  static INLINE __m512i unzigzag(__m512i number) {
    const __m512i odd = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(number, all(1)));
    return _mm512_xor_si512(_mm512_srli_epi32(number, 1), odd);
  }

  const Tables& tables_;
};

template <class Fn>
void for_kind(const Tables& tables, Fn&& fn) {
  if (tables.single() != nullptr) return fn(SingleTable(tables));
  if (tables.small() != nullptr) return fn(SmallSet(tables));
  return fn(AnySet(tables));
}

}  // namespace

size_t avx512_classify(const Tables& tables, const IntArray& symbols, const IntArray& indexes, size_t begin,
                       size_t rounds, uint32_t* packed, RawSink* raw) {
  if (!tables.bases_are_small()) return 0;
  size_t r = 0;
  for_kind(tables, [&](const auto& kind) {
    for (; r < rounds; ++r) {
      const size_t at = begin + r * kRound;
      Lanes round;
      if (!kind.template encode<1>(symbols, indexes, &at, &round, raw)) break;
      store_lanes(packed + r * kRound, round);
    }
  });
  return r;
}

void avx512_encode(const Tables& tables, const IntArray& symbols, const IntArray& indexes,
                   EncodingLanes* chunks, size_t count, size_t rounds) {
  // Else symbol - base may wrap into the table.
  if (tables.precision() < kMinEncodePrecision || !tables.bases_are_small()) return;
  for_kind(tables, [&](const auto& kind) {
    const auto classify = [&](auto c, const size_t* at, Lanes* packed, RawSink* raw)
                              __attribute__((always_inline)) {
                                return kind.template encode<c()>(symbols, indexes, at, packed, raw);
                              };
    constexpr int kAtOnce = std::decay_t<decltype(kind)>::kTogether ? 2 : 1;
    const int precision = tables.precision();
    if (count == 4) return encode_rounds<4, kAtOnce>(chunks, rounds, precision, classify);
    if (count > 1) encode_rounds<2, kAtOnce>(chunks, rounds, precision, classify);
    if (count % 2 != 0) encode_rounds<1, 1>(chunks + count - 1, rounds, precision, classify);
  });
}

void avx512_decode(const Tables& tables, const IntArray& indexes, const MutableIntArray& out,
                   DecodingLanes* chunks, size_t count, size_t rounds) {
  for_kind(tables, [&](auto kind) {
    const auto find = [&](auto c, const Lanes* x, const size_t* at, Found* found, Lanes* value,
                          RawSource* raw) __attribute__((always_inline)) {
      return kind.template decode<c()>(x, indexes, at, found, value, raw);
    };
    constexpr int kAtOnce = std::decay_t<decltype(kind)>::kTogether ? 2 : 1;
    const int precision = tables.precision();
    if (count == 4) return decode_rounds<4, kAtOnce>(chunks, rounds, precision, out, find);
    if (count > 1) decode_rounds<2, kAtOnce>(chunks, rounds, precision, out, find);
    if (count % 2 != 0) decode_rounds<1, 1>(chunks + count - 1, rounds, precision, out, find);
  });
}

}  // namespace pycodec::rans
