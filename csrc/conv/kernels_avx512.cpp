// AVX-512: 32 registers of 16 floats.
#include <immintrin.h>

#include "conv/loops.h"

namespace pycodec::conv {
namespace {

struct Vec {
  using Type = __m512;
  using Element = float;
  static constexpr int kLanes = 16, kAccumulators = 24, kWidestBlock = 12;
  static constexpr int kRows = 4, kColumns = 6;

  static Type load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Type v) { _mm512_storeu_ps(p, v); }
  static Type set1(float x) { return _mm512_set1_ps(x); }
  static Type multiply_add(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
};

}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::conv
