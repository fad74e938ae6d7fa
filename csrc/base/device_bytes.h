// Bytes on a device: pieces copied together, and the CRC-32 of an array.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/queue.h"
#include "base/warp.h"

namespace pycodec {

// Bytes at the address `from`, which belong at the offset `to`.
struct Piece {
  uint64_t from, to, bytes;
};

// A warp for every piece, so let none be large.
struct Gather {
  const Piece* pieces;
  uint8_t* out;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const Piece piece = pieces[index];
    const uint8_t* from = reinterpret_cast<const uint8_t*>(static_cast<uintptr_t>(piece.from));
    warp.each([&](int lane) {
      for (uint64_t i = lane; i < piece.bytes; i += kWarpLanes) out[piece.to + i] = from[i];
    });
  }
};

// --- CRC-32 ---
//
// Polynomials over GF(2) modulo the CRC's, reflected: bit 31 is x^0. The CRC's register after a word w is
// (register ^ w) x^32, so a word's part in the register at the end is w times a power of x, and parts of an
// array can be worked out in any order and combined by exclusive or.
constexpr uint32_t kCrcPolynomial = 0xEDB88320u;
constexpr uint32_t kCrcOne = 1u << 31;

PYCODEC_HD constexpr uint32_t crc_multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= (a >> 31) * b;
    b = b >> 1 ^ ((b & 1) != 0 ? kCrcPolynomial : 0);
  }
  return product;
}

struct Crc32 {
  static constexpr uint64_t kLaneWords = 16;

  // Words of 4 bytes, little-endian; `sum` begins as 0.
  Crc32(const uint32_t* w, uint64_t n, uint32_t* s) : words(w), count(n), sum(s) {
    uint32_t word = kCrcOne;
    for (int i = 0; i < 32; ++i) word = word >> 1 ^ ((word & 1) != 0 ? kCrcPolynomial : 0);
    powers[0] = word;  // x^32
    for (int i = 1; i < 40; ++i) powers[i] = crc_multiply(powers[i - 1], powers[i - 1]);
  }

  PYCODEC_HD uint64_t warps() const {
    return (count + kWarpLanes * kLaneWords - 1) / (kWarpLanes * kLaneWords);
  }

  // x^(32 n), n < 2^40.
  PYCODEC_HD uint32_t power(uint64_t n) const {
    uint32_t p = kCrcOne;
    for (int i = 0; n != 0; ++i, n >>= 1) {
      if ((n & 1) != 0) p = crc_multiply(powers[i], p);
    }
    return p;
  }

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const uint32_t part = warp.odd([&](int lane) {
      const uint64_t first = (index * kWarpLanes + lane) * kLaneWords;
      if (first >= count) return 0u;
      const uint64_t end = first + kLaneWords < count ? first + kLaneWords : count;
      uint32_t c = 0;
      for (uint64_t i = first; i < end; ++i) c = crc_multiply(powers[0], c ^ words[i]);
      return crc_multiply(power(count - end), c);
    });
    warp.each([&](int lane) {
      if (lane == 0) atomic_xor(sum, part);
    });
  }

  // The CRC that zlib gives, from what the kernel has summed up.
  uint32_t finish(uint32_t all) const { return ~(crc_multiply(power(count), 0xffffffffu) ^ all); }

  const uint32_t* words;
  uint64_t count;
  uint32_t* sum;
  uint32_t powers[40];  // x^(32 2^i)
};

void launch(const Gather& body, uint64_t warps, const Queue& queue);
void launch(const Crc32& body, uint64_t warps, const Queue& queue);

}  // namespace pycodec
