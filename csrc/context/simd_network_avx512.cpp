// The AVX-512 VNNI backend: one instruction for the 64 products of a register of 16 lanes. What would leave
// half of one empty is done by registers of 8, in about half the time.
#include "context/simd_network.h"
#include "context/ymm.h"

// GCC before 13 warns about the deliberately undefined registers in its own intrinsics (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace pycodec::context {
namespace {

// Four weights are their four bytes.
struct Bytes4 {
  static constexpr int kWeights = 1;
  static void pack(const int8_t* bytes, int32_t* weights) { std::memcpy(weights, bytes, 4); }
};

struct Vec8 : Ymm, Bytes4 {
  using Source = Type;
  static Source source(const int32_t* p) { return load(p); }
  static Type dot(Type sum, Source x, const int32_t* w) { return _mm256_dpbusd_epi32(sum, x, set1(*w)); }
};

struct Vec16 : Bytes4 {
  using Type = __m512i;
  static constexpr int kLanes = 16;

  using Source = Type;
  static Source source(const int32_t* p) { return load(p); }
  static Type dot(Type sum, Source x, const int32_t* w) { return _mm512_dpbusd_epi32(sum, x, set1(*w)); }

  static Type rescale(Type sum, Type multiplier) {
    const Type even = _mm512_mul_epi32(sum, multiplier);
    const Type odd = _mm512_mul_epi32(_mm512_srli_epi64(sum, 32), multiplier);
    return _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);  // the upper halves
  }
  static Type join(Type a, Type b, Type c, Type d) {
    const Type bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    const __m128i transpose = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(transpose));
  }

  static Type load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store(int32_t* p, Type x) { _mm512_storeu_si512(p, x); }
  static Type set1(int32_t x) { return _mm512_set1_epi32(x); }
  static Type zero() { return _mm512_setzero_si512(); }
  static Type add(Type a, Type b) { return _mm512_add_epi32(a, b); }
  static Type sub(Type a, Type b) { return _mm512_sub_epi32(a, b); }
  static Type mul(Type a, Type b) { return _mm512_mullo_epi32(a, b); }
  static Type min(Type a, Type b) { return _mm512_min_epi32(a, b); }
  static Type max(Type a, Type b) { return _mm512_max_epi32(a, b); }
  static Type either(Type a, Type b) { return _mm512_or_si512(a, b); }
  template <int n>
  static Type shift_left(Type x) {
    return _mm512_slli_epi32(x, n);
  }
  template <int n>
  static Type shift_right(Type x) {
    return _mm512_srli_epi32(x, n);
  }
  template <int j>
  static Type byte(Type x) {
    return j == 3 ? _mm512_srli_epi32(x, 24) : _mm512_and_si512(_mm512_srli_epi32(x, 8 * j), set1(255));
  }
  static Type bytes(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Type choose_equal(Type a, Type b, Type then, Type otherwise) {
    return _mm512_mask_mov_epi32(otherwise, _mm512_cmpeq_epi32_mask(a, b), then);
  }
  static Type gather(const int32_t* table, Type index) { return _mm512_i32gather_epi32(index, table, 4); }
  // As in ymm.h.
  static Type reciprocal(Type x) {
    const __m512d numerator = _mm512_set1_pd(1 << 29);
    const __m256i low =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_castsi512_si256(x))));
    const __m256i high =
        _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(x, 1))));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  static uint32_t differ(const uint8_t* p, uint8_t code) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm_cmpneq_epi8_mask(x, _mm_set1_epi8(static_cast<char>(code)));
  }
};

struct Registers {
  using Wide = Vec16;
  using Narrow = Vec8;
  static constexpr int kBlock = 24;
};

}  // namespace

std::unique_ptr<Evaluator> make_avx512(const Model& model, const Biases& biases, Shape shape, Order order,
                                       int slots) {
  return std::make_unique<SimdNetwork<Registers>>(model, biases, shape, order, slots);
}

}  // namespace pycodec::context
