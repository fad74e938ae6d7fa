// The portable kernels: vectors of four floats, which every compiler maps to what the machine has.
#include <cstring>

#include "conv/loops.h"

namespace pycodec::conv {
namespace {

struct Vec {
  typedef float Type __attribute__((vector_size(16)));
  using Element = float;
  static constexpr int kLanes = 4, kAccumulators = 12, kWidestBlock = 6;
  static constexpr int kRows = 2, kColumns = 4;

  static Type load(const float* p) {
    Type v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, Type v) { std::memcpy(p, &v, sizeof v); }
  static Type set1(float x) { return Type{x, x, x, x}; }
  static Type multiply_add(Type a, Type b, Type c) { return a * b + c; }
};

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels kernels = kernels_of<Vec>();
  return kernels;
}

}  // namespace pycodec::conv
