#include "rans/arrays.h"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

namespace pycodec::rans {
namespace {

// Calls fn with a null pointer of the element type.
template <class Fn>
void dispatch(IntType type, Fn&& fn) {
  switch (type) {
    case IntType::kI8:
      return fn(static_cast<int8_t*>(nullptr));
    case IntType::kI16:
      return fn(static_cast<int16_t*>(nullptr));
    case IntType::kI32:
      return fn(static_cast<int32_t*>(nullptr));
    case IntType::kI64:
      return fn(static_cast<int64_t*>(nullptr));
    case IntType::kU8:
      return fn(static_cast<uint8_t*>(nullptr));
    case IntType::kU16:
      return fn(static_cast<uint16_t*>(nullptr));
    case IntType::kU32:
      return fn(static_cast<uint32_t*>(nullptr));
  }
}

}  // namespace

void IntArray::load(size_t begin, size_t n, int32_t* out, const char* what) const {
  dispatch(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const T* p = static_cast<const T*>(data) + begin;
    for (size_t i = 0; i < n; ++i) {
      out[i] = static_cast<int32_t>(p[i]);
      if constexpr (sizeof(T) > 4 || std::is_same_v<T, uint32_t>) {
        const int64_t v = static_cast<int64_t>(p[i]);
        if (v != out[i]) {
          throw InvalidArgument(std::string(what) + "[" + std::to_string(begin + i) + "] is " +
                                std::to_string(v) + "; expected a value from -2^31 to 2^31 - 1");
        }
      }
    }
  });
}

void IntArray::load_indexes(size_t begin, size_t n, size_t tables, int32_t* out) const {
  if (size == 0) {
    std::fill(out, out + n, 0);
    return;
  }
  load(begin, n, out, "indexes");
  const int32_t last = static_cast<int32_t>(std::min<size_t>(tables, size_t{1} << 31) - 1);
  int outside = 0;  // without a branch: compilers make vectors of it
  for (size_t i = 0; i < n; ++i) outside |= (out[i] < 0) | (out[i] > last);
  if (outside == 0) return;
  for (size_t i = 0; i < n; ++i) {
    if (out[i] >= 0 && out[i] <= last) continue;
    throw InvalidArgument("indexes[" + std::to_string(begin + i) + "] is " + std::to_string(out[i]) +
                          "; expected 0 to " + std::to_string(tables - 1) + ", there being " +
                          std::to_string(tables) + " tables");
  }
}

void MutableIntArray::store(size_t begin, size_t n, const int32_t* values) const {
  dispatch(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    T* p = static_cast<T*>(data) + begin;
    for (size_t i = 0; i < n; ++i) {
      const int64_t v = values[i];
      if (v < static_cast<int64_t>(std::numeric_limits<T>::min()) ||
          v > static_cast<int64_t>(std::numeric_limits<T>::max())) {
        throw InvalidArgument("the symbol at position " + std::to_string(begin + i) + " is " +
                              std::to_string(v) +
                              ", which the output array's type cannot hold; use a wider one");
      }
      p[i] = static_cast<T>(v);
    }
  });
}

}  // namespace pycodec::rans
