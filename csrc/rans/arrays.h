// Integer arrays of any width, read and written in blocks of int32, so that the coder itself knows one type
// only.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/prefetch.h"
#include "base/span.h"

namespace pycodec::rans {

enum class IntType { kI8, kI16, kI32, kI64, kU8, kU16, kU32 };

// A contiguous array; it does not own.
struct IntArray {
  const void* data = nullptr;
  IntType type = IntType::kI32;
  size_t size = 0;

  // Elements [begin, begin + n) as int32; InvalidArgument naming `what` and the position of one beyond int32.
  void load(size_t begin, size_t n, int32_t* out, const char* what) const;

  // The same for indexes of `tables` tables, all checked; an array of size 0 stands for zeros.
  void load_indexes(size_t begin, size_t n, size_t tables, int32_t* out) const;

  __attribute__((always_inline)) void prefetch(size_t begin, size_t n) const {
    const size_t width = type == IntType::kI8 || type == IntType::kU8     ? 1
                         : type == IntType::kI16 || type == IntType::kU16 ? 2
                         : type == IntType::kI64                          ? 8
                                                                          : 4;
    prefetch_bytes(static_cast<const char*>(data) + begin * width, n * width);
  }
};

struct MutableIntArray {
  void* data = nullptr;
  IntType type = IntType::kI32;
  size_t size = 0;

  // Stores n values at [begin, begin + n); InvalidArgument naming the position of one that the type cannot
  // hold.
  void store(size_t begin, size_t n, const int32_t* values) const;
};

}  // namespace pycodec::rans
