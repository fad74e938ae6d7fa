// The range coder's public face, and the stream it writes.
//
// rANS ("range asymmetric numeral systems", Duda 2013, arXiv:1311.2540), with a 32-bit state x, lower bound
// 2^16, 16-bit words and table precision P (8..14 bits). A class with `start` and `freq` in its table:
//
//     encode:  if (x >> (32 - P)) >= freq: emit the word x mod 2^16, x = x >> 16
//              x = (x / freq << P) + x mod freq + start
//     decode:  slot = x mod 2^P; the class is the one with start <= slot < start + freq
//              x = freq * (x >> P) + slot - start
//              if x < 2^16: x = x << 16 | next word
//
// so there is at most one word a step. The encoder runs backwards, the decoder forwards. All fields are
// little-endian; a varint is LEB128 in its shortest form.
//
// SYMBOLS AND TABLES. A table is a list of classes with freq >= 1 summing to 2^P; start is the sum of the
// freqs before. It has an integer `offset`, a `shift` k (0..7), and perhaps an escape, which is then its last
// class. C is the number of classes that are not the escape. A symbol v (int32) is split into q = v >> k and
// its k low bits; r = q - offset; the class of r is
//
//     natural order:  r                                          if 0 <= r < C
//     zigzag order:   z(r) = 2r for r >= 0, -2r - 1 for r < 0    if z(r) < C    (0, -1, 1, -2, 2, ...)
//
// and otherwise the escape, with the escape number
//
//     natural order:  2 (r - C) for r >= C, 2 (-1 - r) + 1 for r < 0
//     zigzag order:   z(r) - C
//
// The order is one for all tables of a set. Coding with probabilities is natural order, offset 0, shift 0, no
// escape, P = 14 and a table a symbol, made by the rule in pmf.h.
//
// STREAM.
//
//     head       u8      bits 0-1: lanes, 0..3 for L = 1, 4, 8, 32
//                        bits 2-4: P - 8
//                        bits 5-7: version, 1
//     count      varint  number of symbols; if 0 the stream ends here, and the lanes bits are 0
//     chunk      varint  only if L = 32: symbols in every chunk but the last, a multiple of 32, not 0;
//                        without this field one chunk holds all symbols
//     then an entry for each of the ceil(count / chunk) chunks:
//       words    varint  number of 16-bit words
//       tail     varint  only if L > 1: number of symbols in the tail
//       raw      varint  only if some table of the set has k > 0: bytes of raw low bits
//       escapes  varint  only if some table of the set has an escape: bytes of escape numbers
//       crc      u32     CRC-32 (zlib's) of all bytes before the entries, then the chunk's number as u32,
//                        then this entry's varints, then this chunk's payload
//     then for each chunk its payload, the last one ending with the data:
//       L states u32, words u16, raw bytes, escape bytes
//
// Chunks are independent. Within a chunk of n symbols, counted from 0:
//   - Symbol i < n - tail is coded on lane i mod L. Every lane has a state of its own, which begins as the
//     stored one; the words of all lanes are one list, read in symbol order.
//   - raw: the k low bits of every symbol with k > 0, in symbol order, packed from bit 0 of byte 0 up, the
//     last byte padded with zeros.
//   - escapes: the escape number of every escaped symbol, in symbol order, each a varint.
//   - The state a lane ends in (the encoder starts with it) carries 16 bits of payload, so that a lane costs
//     about 8 bits instead of 24: it is 2^16 + w. The L values w hold the tail. If L = 1, tail = 0 and w = 0.
//   - The last `tail` symbols are coded on one further lane within these values: its state begins as
//     w0 << 16 | w1, its words are w2, w3, ... w(L-1), those not needed being 0; it ends in state 2^16.
// Why the payload is symbols and not side data: a step decoder needs the side data of a symbol with the
// symbol, before the lanes end; and there may be no side data.
//
// The decoder checks every one of these statements.
//
// ENCODER'S CHOICES. A decoder needs none of this; reference.py takes the same ones, hence the same bytes.
// T, the expected number of coded bits, is the sum over symbols, in 1/256 bit, of
//     256 (P + k) - log2_256(freq), plus 8 * 256 for an escape
// with log2_256(f), about 256 log2 f, from choices.h. If count > 16384 the sum is taken over the symbols
// [1021 b, 1021 b + 64) for b = 0, 1, ... and scaled to count. Lanes: 1 if T < 1024 bytes, 4 if < 4096, 8 if
// < 16384, else 32. Chunks: max(1, floor(T / 32768 bytes)) of equal size, rounded up to a multiple of 32
// symbols. The tail takes symbols from the end for as long as their words fit in L - 2.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/cpu_features.h"
#include "base/span.h"
#include "rans/arrays.h"
#include "rans/pmf.h"
#include "rans/tables.h"

namespace pycodec::rans {

// How to run; no choice here changes a byte or a symbol.
struct Options {
  size_t threads = 1;
  Simd simd = Simd::kScalar;
};

// An entry of a stream and its payload.
struct EncodedChunk {
  std::vector<uint8_t> entry;
  std::unique_ptr<uint8_t[]> payload;
  size_t size = 0;  // of the payload
};

// A stream in its parts, so that the caller can have its bytes where they are wanted.
struct EncodedStream {
  size_t size() const;
  void copy_to(uint8_t* out, size_t threads) const;

  std::vector<uint8_t> prefix;
  std::vector<EncodedChunk> chunks;
};

// Codes symbols[i] with tables[indexes[i]] (indexes empty: the only table). Throws InvalidArgument that names
// the position of a symbol without a class, of a symbol beyond int32, or of an index without a table.
EncodedStream encode(const IntArray& symbols, const Tables& tables, const IntArray& indexes, Options options);
EncodedStream encode(const IntArray& symbols, const Pmfs& pmfs, Options options);

// The inverse. out.size symbols are expected in the stream, else CorruptStream, as for any damage; nothing is
// allocated in proportion to what the data claims.
void decode(Bytes data, const Tables& tables, const IntArray& indexes, const MutableIntArray& out,
            Options options);
void decode(Bytes data, const Pmfs& pmfs, const MutableIntArray& out, Options options);

// Decodes step by step, for models whose next table depends on the symbols before. `data` and `tables` must
// outlive it.
class StepDecoder {
 public:
  StepDecoder(Bytes data, const Tables& tables, Simd simd);
  ~StepDecoder();

  uint64_t count() const;      // symbols in the stream
  uint64_t remaining() const;  // symbols not pulled yet; any thread may ask

  // The next out.size symbols; indexes as in decode. The checks of a chunk's end run with its last symbol.
  // Asking for more than remaining() is an InvalidArgument and changes nothing; after any other error nothing
  // more can be pulled.
  void pull(const IntArray& indexes, const MutableIntArray& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pycodec::rans
