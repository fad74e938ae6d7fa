// CRC-32 as in zlib, PNG and Ethernet (reflected polynomial 0xEDB88320), so that zlib.crc32 is its twin.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace pycodec {

// Continues `crc` (0 to begin with) over data: crc32(b, crc32(a)) == crc32(a ++ b).
uint32_t crc32(Bytes data, uint32_t crc = 0);

}  // namespace pycodec
