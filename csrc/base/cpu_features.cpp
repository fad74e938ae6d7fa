#include "base/cpu_features.h"

#include <cstdlib>

#include "base/error.h"

namespace pycodec {
namespace {

std::vector<Simd> detect() {
  std::vector<Simd> levels = {Simd::kScalar};
#if defined(__x86_64__)
  // The compiler's run-time support also asks the system (XGETBV) whether it saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
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
  const std::vector<Simd>& levels = simd_available();
  const char* wanted = std::getenv("PYCODEC_SIMD");
  if (wanted == nullptr || *wanted == '\0') return levels.back();
  std::string names;
  for (Simd level : levels) {
    if (std::string(wanted) == simd_name(level)) return level;
    names += (names.empty() ? "" : ", ") + std::string(simd_name(level));
  }
  throw InvalidArgument("PYCODEC_SIMD is '" + std::string(wanted) + "', but this machine runs " + names +
                        "; set one of these or unset it");
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

Simd simd_in_use() {
  static const Simd level = choose();
  return level;
}

}  // namespace pycodec
