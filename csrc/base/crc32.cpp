#include "base/crc32.h"

#include <array>

#include "base/bytes.h"
#include "base/cpu_features.h"

namespace pycodec {
namespace {

// Slicing by 8: table[j][b] is the CRC of byte b followed by j zero bytes.
using CrcTable = std::array<std::array<uint32_t, 256>, 8>;

constexpr CrcTable make_table() {
  CrcTable t{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t c = b;
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? 0xEDB88320u : 0u);
    t[0][b] = c;
  }
  for (size_t j = 1; j < 8; ++j) {
    for (size_t b = 0; b < 256; ++b) t[j][b] = (t[j - 1][b] >> 8) ^ t[0][t[j - 1][b] & 0xff];
  }
  return t;
}

constexpr CrcTable kTable = make_table();

}  // namespace

uint32_t crc32(Bytes data, uint32_t crc) {
  uint32_t c = ~crc;
  const uint8_t* p = data.data();
  size_t n = data.size();
#if defined(__x86_64__)
  if (n >= 64 && simd_in_use() >= Simd::kAvx2) {
    const size_t blocks = n / 16 * 16;
    c = crc32_of_blocks({p, blocks}, c);
    p += blocks;
    n -= blocks;
  }
#endif
  for (; n >= 8; n -= 8, p += 8) {
    const uint32_t lo = c ^ load_u32(p), hi = load_u32(p + 4);
    c = kTable[7][lo & 0xff] ^ kTable[6][lo >> 8 & 0xff] ^ kTable[5][lo >> 16 & 0xff] ^ kTable[4][lo >> 24] ^
        kTable[3][hi & 0xff] ^ kTable[2][hi >> 8 & 0xff] ^ kTable[1][hi >> 16 & 0xff] ^ kTable[0][hi >> 24];
  }
  for (; n > 0; --n, ++p) c = (c >> 8) ^ kTable[0][(c ^ *p) & 0xff];
  return ~c;
}

}  // namespace pycodec
