// Memory that will be read soon, in an order that the machine does not foresee itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pycodec {

inline __attribute__((always_inline)) void prefetch_bytes(const void* data, size_t n) {
  asm volatile("");  // of functions that only prefetch GCC 12 finds no effect, and drops their calls
  const size_t into_line = reinterpret_cast<uintptr_t>(data) % 64;
  for (size_t i = 0; i < into_line + n; i += 64)
    __builtin_prefetch(static_cast<const char*>(data) + i - into_line);
}

}  // namespace pycodec
