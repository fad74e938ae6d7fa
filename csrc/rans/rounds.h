// The loops over rounds themselves, wherever the classes come from and however wide the registers are. A file
// includes this after the lanes of its instruction set: Lanes, Found and what is done with them.
#pragma once

#include <type_traits>

#include "rans/block_loops.h"
#include "rans/each.h"

namespace pycodec::rans {

namespace {

template <int C>
using Chunks = std::integral_constant<int, C>;

// Rounds of C chunks, `Together` of them (1 or C) at a time: those that look classes up together are one
// piece of code; those apart leave it to the processor to work on one while the other waits.
//
// classify(Chunks<T>, at[T], packed[T], raw[T]) gives the packed classes of a round of T chunks and puts
// their raw bits; or says false and leaves these alone.
template <int C, int Together, class Classify>
INLINE void encode_rounds(EncodingLanes* chunks, size_t rounds, int precision, const Classify& classify) {
  Lanes x[C];
  uint16_t* words[C];
  RawSink raw[C];
  size_t at[C];
  each<C>(EACH(k) {
    x[k] = load_lanes(chunks[k].states);
    words[k] = chunks[k].words;
    raw[k] = *chunks[k].raw;
    at[k] = chunks[k].end;
  });
  bool good = true;
  for (size_t r = 0; good && r < rounds; ++r) {
    each<C / Together>(EACH(part) {
      if (!good) return;
      const int k = part * Together;
      Lanes packed[Together];
      size_t begin[Together];
      each<Together>(EACH(t) { begin[t] = at[k + t] - kRound; });
      good = classify(Chunks<Together>{}, begin, packed, raw + k);
      if (!good) return;
      each<Together>(EACH(t) {
        encode_round(&x[k + t], packed[t], precision, &words[k + t]);
        at[k + t] = begin[t];
      });
    });
  }
  each<C>(EACH(k) {
    store_lanes(chunks[k].states, x[k]);
    chunks[k].words = words[k];
    *chunks[k].raw = raw[k];
    chunks[k].end = at[k];
  });
}

// find(Chunks<T>, x[T], at[T], found[T], value[T], raw[T]) gives the classes that the states of T chunks are
// in and the values these stand for, taking their raw bits; or says false and leaves these alone.
template <int C, int Together, class Find>
INLINE void decode_rounds(DecodingLanes* chunks, size_t rounds, int precision, const MutableIntArray& out,
                          const Find& find) {
  Lanes x[C];
  const uint8_t *words[C], *last[C];  // the last place from which a whole round can be read
  RawSource raw[C];
  size_t at[C];
  bool good = true;
  each<C>(EACH(k) {
    const Words& w = chunks[k].words;
    good &= w.end - w.next >= 64;
    x[k] = load_lanes(chunks[k].states);
    words[k] = w.next;
    last[k] = good ? w.end - 64 : w.next;
    raw[k] = *chunks[k].raw;
    at[k] = chunks[k].begin;
  });
  for (size_t r = 0; good && r < rounds; ++r) {
    each<C / Together>(EACH(part) {
      if (!good) return;
      const int k = part * Together;
      Found found[Together];
      Lanes value[Together];
      size_t raw_bit[Together];
      each<Together>(EACH(t) {
        good &= words[k + t] <= last[k + t];
        raw_bit[t] = raw[k + t].bit;
      });
      good = good && find(Chunks<Together>{}, x + k, at + k, found, value, raw + k);
      if (!good) return;
      each<Together>(EACH(t) { good &= store_32(out, at[k + t], value[t]); });
      if (!good) {
        each<Together>(EACH(t) { raw[k + t].bit = raw_bit[t]; });
        return;
      }
      each<Together>(EACH(t) {
        decode_round(&x[k + t], found[t], precision, &words[k + t]);
        at[k + t] += kRound;
      });
    });
  }
  each<C>(EACH(k) {
    store_lanes(chunks[k].states, x[k]);
    chunks[k].words.next = words[k];
    *chunks[k].raw = raw[k];
    chunks[k].begin = at[k];
  });
}

}  // namespace
}  // namespace pycodec::rans
