// AVX2 with FMA: 16 registers of eight floats.
#include <immintrin.h>

#include "conv/loops.h"

namespace pycodec::conv {
namespace {

struct Vec {
  using Type = __m256;
  using Element = float;
  static constexpr int kLanes = 8, kAccumulators = 12, kWidestBlock = 6;
  static constexpr int kRows = 2, kColumns = 4;

  static Type load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Type v) { _mm256_storeu_ps(p, v); }
  static Type set1(float x) { return _mm256_set1_ps(x); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm256_fmadd_ps(a, b, c); }
};

}  // namespace

const Kernels& avx2_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::conv
