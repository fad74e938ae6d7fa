// An integer array of any width, read one element at a time: what kernels see of an IntArray.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "rans/arrays.h"

namespace pycodec::rans {

struct IntView {
  PYCODEC_HD int64_t operator[](uint64_t i) const {
    switch (type) {
      case IntType::kI8:
        return static_cast<const int8_t*>(data)[i];
      case IntType::kI16:
        return static_cast<const int16_t*>(data)[i];
      case IntType::kI32:
        return static_cast<const int32_t*>(data)[i];
      case IntType::kI64:
        return static_cast<const int64_t*>(data)[i];
      case IntType::kU8:
        return static_cast<const uint8_t*>(data)[i];
      case IntType::kU16:
        return static_cast<const uint16_t*>(data)[i];
      case IntType::kU32:
        return static_cast<const uint32_t*>(data)[i];
    }
    return 0;
  }
  PYCODEC_HD const void* address(uint64_t i) const { return static_cast<const char*>(data) + i * width(); }
  PYCODEC_HD unsigned width() const {
    switch (type) {
      case IntType::kI8:
      case IntType::kU8:
        return 1;
      case IntType::kI16:
      case IntType::kU16:
        return 2;
      case IntType::kI64:
        return 8;
      default:
        return 4;
    }
  }

  const void* data;  // may be null where the array is optional
  IntType type;
};

}  // namespace pycodec::rans
