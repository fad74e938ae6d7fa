// The portable kernels: four lanes, which the baseline of x86-64 multiplies in one instruction.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "quantized/loops.h"

namespace pycodec::quantized {
namespace {

#if defined(__SSE2__)

struct Lanes {
  using Type = __m128i;
  static constexpr int kRows[kMaxVectors + 1] = {0, 6, 4, 3};

  static Type zero() { return _mm_setzero_si128(); }
  static Type load(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const Type*>(p)); }
  static void store(int32_t* p, Type v) { _mm_storeu_si128(reinterpret_cast<Type*>(p), v); }
  static Type broadcast(const uint8_t* p) {
    int32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return _mm_set1_epi32(bits);
  }
  static Type dot(Type sum, Type codes, Type weights) {
    return _mm_add_epi32(sum, _mm_madd_epi16(codes, weights));
  }
};

#else

struct Lanes {
  struct Type {
    int32_t lane[4];
  };
  static constexpr int kRows[kMaxVectors + 1] = {0, 4, 2, 1};

  static Type zero() { return {}; }
  static Type load(const uint8_t* p) {
    Type v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(int32_t* p, const Type& v) { std::memcpy(p, &v, sizeof v); }
  static Type broadcast(const uint8_t* p) {
    Type v;
    for (int32_t& lane : v.lane) std::memcpy(&lane, p, sizeof lane);
    return v;
  }
  static Type dot(Type sum, const Type& codes, const Type& weights) {
    int16_t a[8], b[8];
    std::memcpy(a, &codes, sizeof a);
    std::memcpy(b, &weights, sizeof b);
    for (int l = 0; l < 4; ++l) sum.lane[l] += a[2 * l] * b[2 * l] + a[2 * l + 1] * b[2 * l + 1];
    return sum;
  }
};

#endif

struct Vec : Lanes {
  using Narrow = int16_t;
  static constexpr int kLanes = 4;
  using Floats = void;
  static Type dot_narrow(const Type& sum, const Type& codes, const Type& weights) {
    return dot(sum, codes, weights);
  }
};

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::quantized
