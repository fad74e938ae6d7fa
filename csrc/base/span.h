// A pointer and a length: what std::span is from C++20 on. Does not own; `at` and `sub` check, `[]` does not.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace pycodec {

template <class T>
class Span {
 public:
  Span() = default;
  Span(T* data, size_t size) : data_(data), size_(size) {}
  template <class U, class = std::enable_if_t<std::is_same_v<std::remove_const_t<T>, U>>>
  Span(const std::vector<U>& v) : data_(v.data()), size_(v.size()) {}
  template <class U, class = std::enable_if_t<std::is_same_v<T, U>>>
  Span(std::vector<U>& v) : data_(v.data()), size_(v.size()) {}
  template <class U, class = std::enable_if_t<std::is_same_v<T, const U>>>
  Span(const Span<U>& v) : data_(v.data()), size_(v.size()) {}

  T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  T& operator[](size_t i) const { return data_[i]; }

  T& at(size_t i) const {
    if (i >= size_) {
      throw InvalidArgument("index " + std::to_string(i) + " is out of range for " + std::to_string(size_) +
                            " elements");
    }
    return data_[i];
  }

  Span sub(size_t offset, size_t count) const {
    if (offset > size_ || count > size_ - offset) {
      throw InvalidArgument("elements " + std::to_string(offset) + " to " + std::to_string(offset) + " + " +
                            std::to_string(count) + " are out of range for " + std::to_string(size_));
    }
    return {data_ + offset, count};
  }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

using Bytes = Span<const unsigned char>;

}  // namespace pycodec
