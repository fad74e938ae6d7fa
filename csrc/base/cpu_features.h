// Which SIMD path runs. Decided once, at the first question, from the CPU, from what was compiled in, and
// from the environment variable PYCODEC_SIMD = scalar | avx2 | avx512 (a ceiling for tests and for bug
// reports).
#pragma once

#include <string>
#include <vector>

namespace pycodec {

enum class Simd { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };

const char* simd_name(Simd level);

// Levels that this CPU and this build can run, in rising order; the first is always kScalar.
// kAvx2 means AVX2, FMA, PCLMULQDQ, BMI1, BMI2, POPCNT and LZCNT together, kAvx512 also F, BW, DQ, VL, VBMI,
// VBMI2 and VNNI: all that setup.py lets the compiler use.
const std::vector<Simd>& simd_available();

// Whether this CPU also has AVX512_BF16, which is no level of its own.
bool has_avx512_bf16();

// The level in use: the highest available one, or the one PYCODEC_SIMD names.
// Throws InvalidArgument when PYCODEC_SIMD names no level, or one that cannot run here.
Simd simd_in_use();

// The level of that name. Throws InvalidArgument when there is none, or when it cannot run here.
Simd simd_named(const std::string& name);

}  // namespace pycodec
