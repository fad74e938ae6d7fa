#include "rans/block_loops.h"

namespace pycodec::rans {

const BlockLoops& block_loops(Simd level) {
#if defined(__x86_64__)
  if (level >= Simd::kAvx512) return avx512_block_loops();
  if (level >= Simd::kAvx2) return avx2_block_loops();
#else
  (void)level;
#endif
  static constexpr BlockLoops kNone = {
      [](const Tables&, const IntArray&, const IntArray&, size_t, size_t, uint32_t*, RawSink*) -> size_t {
        return 0;
      },
      [](const Pmfs&, const IntArray&, size_t, size_t, uint32_t*) -> size_t { return 0; },
      [](const Tables&, const IntArray&, const IntArray&, EncodingLanes*, size_t, size_t) {},
      [](const Tables&, const IntArray&, const MutableIntArray&, DecodingLanes*, size_t, size_t) {},
      [](const Pmfs&, const IntArray&, EncodingLanes*, size_t, size_t) {},
      [](const Pmfs&, const MutableIntArray&, DecodingLanes*, size_t, size_t) {}};
  return kNone;
}

}  // namespace pycodec::rans
