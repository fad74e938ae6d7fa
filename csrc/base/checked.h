// Integer arithmetic that refuses to overflow, and the few exact helpers that decide stream layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/error.h"

namespace pycodec {

// a + b, or InvalidArgument. T is an integer type.
template <class T>
T checked_add(T a, T b) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) throw InvalidArgument("integer overflow in an addition of sizes");
  return r;
}

// a * b, or InvalidArgument.
template <class T>
T checked_mul(T a, T b) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) throw InvalidArgument("integer overflow in a product of sizes");
  return r;
}

// The same value as another integer type, or InvalidArgument.
template <class To, class From>
To checked_cast(From value) {
  static_assert(std::is_integral_v<To> && std::is_integral_v<From>);
  const To r = static_cast<To>(value);
  if (static_cast<From>(r) != value || (r < To(0)) != (value < From(0))) {
    throw InvalidArgument("an integer does not fit its type");
  }
  return r;
}

// ceil(a / b) for b > 0, without overflow.
inline uint64_t ceil_div(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

// floor(log2(v)) for v > 0.
inline int floor_log2(uint64_t v) { return 63 - __builtin_clzll(v); }

// ceil(log2(v)) for v > 0.
inline int ceil_log2(uint64_t v) { return v == 1 ? 0 : floor_log2(v - 1) + 1; }

}  // namespace pycodec
