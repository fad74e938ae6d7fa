// Writing code out for a few chunks: what they index then stays in registers.
#pragma once

#define INLINE inline __attribute__((always_inline))

namespace pycodec::rans {
namespace {

// fn(k) for k = 0 .. C - 1, C <= 4.
template <int C, class Fn>
INLINE void each(Fn&& fn) {
  fn(0);
  if constexpr (C > 1) fn(1);
  if constexpr (C > 2) fn(2);
  if constexpr (C > 3) fn(3);
}
#define EACH(k) [&](const int k) __attribute__((always_inline))

}  // namespace
}  // namespace pycodec::rans
