// Large memory that is about to be written for the first time.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pycodec {

// Asks for pages of 2 MiB where whole ones fit: the first write to a page of 4 KiB takes longer than filling
// it.
inline void expect_first_writes(void* data, size_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const uintptr_t from = reinterpret_cast<uintptr_t>(data), to = from + bytes;
  const uintptr_t first = (from + kPage - 1) / kPage * kPage, last = to / kPage * kPage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);  // only a hint
#else
  (void)data;
  (void)bytes;
#endif
}

}  // namespace pycodec
