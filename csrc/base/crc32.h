// CRC-32 as in zlib, PNG and Ethernet (reflected polynomial 0xEDB88320), so that zlib.crc32 is its twin.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace pycodec {

// Continues `crc` (0 to begin with) over data: crc32(b, crc32(a)) == crc32(a ++ b).
uint32_t crc32(Bytes data, uint32_t crc = 0);

#if defined(__x86_64__)
// Continues the register, the inverted CRC, over a multiple of 16 bytes, at least 64; for Simd::kAvx2.
uint32_t crc32_of_blocks(Bytes data, uint32_t c);
#endif

}  // namespace pycodec
