#include "base/cpu_features.h"

#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pycodec {
namespace {

#if defined(__x86_64__)
// Not every compiler's __builtin_cpu_supports knows it.
bool has_lzcnt() {
  unsigned a, b, c, d;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
}
#endif

std::vector<Simd> detect() {
  std::vector<Simd> levels = {Simd::kScalar};
#if defined(__x86_64__)
  // The compiler's run-time support also asks the system (XGETBV) whether it saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") && has_lzcnt();
  if (!avx2) return levels;
  levels.push_back(Simd::kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
      __builtin_cpu_supports("avx512vnni")) {
    levels.push_back(Simd::kAvx512);
  }
#endif
  return levels;
}

Simd choose() {
  const char* wanted = std::getenv("PYCODEC_SIMD");
  if (wanted == nullptr || *wanted == '\0') return simd_available().back();
  try {
    return simd_named(wanted);
  } catch (const InvalidArgument& e) {
    throw InvalidArgument("PYCODEC_SIMD: " + std::string(e.what()) + ", or unset it");
  }
}

}  // namespace

const char* simd_name(Simd level) {
  switch (level) {
    case Simd::kAvx2:
      return "avx2";
    case Simd::kAvx512:
      return "avx512";
    default:
      return "scalar";
  }
}

const std::vector<Simd>& simd_available() {
  static const std::vector<Simd> levels = detect();
  return levels;
}

bool has_avx512_bf16() {
#if defined(__x86_64__)
  static const bool has = simd_available().back() >= Simd::kAvx512 && __builtin_cpu_supports("avx512bf16");
  return has;
#else
  return false;
#endif
}

Simd simd_in_use() {
  static const Simd level = choose();
  return level;
}

Simd simd_named(const std::string& name) {
  std::string names;
  for (Simd level : simd_available()) {
    if (name == simd_name(level)) return level;
    names += (names.empty() ? "" : ", ") + std::string(simd_name(level));
  }
  throw InvalidArgument("SIMD level '" + name + "', but this machine runs " + names + "; name one of these");
}

}  // namespace pycodec
