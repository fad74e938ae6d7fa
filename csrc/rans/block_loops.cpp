#include "rans/block_loops.h"

namespace pycodec::rans {

const BlockLoops& block_loops(Simd level) {
#if defined(__x86_64__)
  if (level >= Simd::kAvx512) return avx512_block_loops();
#else
  (void)level;
#endif
  static constexpr BlockLoops kNone = {
      [](const Tables&, const int32_t*, const int32_t*, size_t, uint32_t*, RawSink*) -> size_t { return 0; },
      [](const uint32_t*, size_t, int, uint32_t*, uint16_t**) -> size_t { return 0; },
      [](const Tables&, const int32_t*, size_t, uint32_t*, Words*, uint16_t*) -> size_t { return 0; },
      [](const Tables&, const int32_t*, const uint16_t*, size_t, RawSource*, int32_t*) -> size_t {
        return 0;
      },
      [](const Pmfs&, size_t, const int32_t*, size_t, uint32_t*) -> size_t { return 0; },
      [](const Pmfs&, size_t, size_t, uint32_t*, Words*, uint16_t*) -> size_t { return 0; }};
  return kNone;
}

}  // namespace pycodec::rans
