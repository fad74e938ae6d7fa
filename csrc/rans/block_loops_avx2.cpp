#include "rans/block_loops.h"
namespace pycodec::rans {
const BlockLoops& avx2_block_loops() { return block_loops(Simd::kScalar); }
}  // namespace pycodec::rans
