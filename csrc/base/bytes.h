// Little-endian byte reader and writer, every read checked. A varint is LEB128: 7 bits a byte, low bits
// first, bit 7 set on all but the last byte, in its shortest form.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/host_device.h"
#include "base/span.h"

namespace pycodec {

// A number among elements of another type, aligned for its own; through a plain pointer the compiler may
// assume that they never overlap.
template <class T>
PYCODEC_HD T load_as(const void* p) {
  T value;
  memcpy(&value, __builtin_assume_aligned(p, alignof(T)), sizeof value);
  return value;
}
template <class T>
PYCODEC_HD void store_as(void* p, T value) {
  memcpy(__builtin_assume_aligned(p, alignof(T)), &value, sizeof value);
}

PYCODEC_HD inline uint16_t load_u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
PYCODEC_HD inline uint32_t load_u32(const uint8_t* p) {
  return load_u16(p) | static_cast<uint32_t>(load_u16(p + 2)) << 16;
}
PYCODEC_HD inline void store_u16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v);
  p[1] = static_cast<uint8_t>(v >> 8);
}
PYCODEC_HD inline void store_u32(uint8_t* p, uint32_t v) {
  store_u16(p, static_cast<uint16_t>(v));
  store_u16(p + 2, static_cast<uint16_t>(v >> 16));
}

// A varint at the front of `size` bytes. With a fault, `bytes` are those before the end or up to the wrong
// one.
struct Varint {
  enum Fault { kNone, kEnds, kNotShortest, kTooLong };
  uint64_t value;
  int bytes;
  Fault fault;
};
PYCODEC_HD inline Varint read_varint(const uint8_t* data, size_t size) {
  uint64_t value = 0;
  for (int i = 0; i < 9; ++i) {
    if (static_cast<size_t>(i) == size) return {0, i, Varint::kEnds};
    if (data[i] == 0 && i > 0) return {0, i + 1, Varint::kNotShortest};
    value |= static_cast<uint64_t>(data[i] & 0x7f) << (7 * i);
    if (data[i] < 0x80) return {value, i + 1, Varint::kNone};
  }
  return {0, 9, Varint::kTooLong};
}

PYCODEC_HD inline int varint_bytes(uint64_t value) {
  int bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}
// Writes varint_bytes(value) bytes.
PYCODEC_HD inline void store_varint(uint8_t* p, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *p++ = static_cast<uint8_t>(value | 0x80);
  *p = static_cast<uint8_t>(value);
}

// Reads from the front; whatever is missing or malformed throws CorruptStream with the byte offset. For a
// reader of a part, `base` is that part's offset in the whole and `context` says which part it is ("chunk 3,
// ").
class ByteReader {
 public:
  explicit ByteReader(Bytes data, size_t base = 0, std::string context = "")
      : data_(data), base_(base), context_(std::move(context)) {}

  size_t offset() const { return pos_; }
  size_t remaining() const { return data_.size() - pos_; }

  Bytes take(uint64_t count, const char* what) {
    if (count > remaining()) fail(std::string("the data ends inside ") + what);
    const Bytes r(data_.data() + pos_, static_cast<size_t>(count));
    pos_ += static_cast<size_t>(count);
    return r;
  }
  uint8_t u8(const char* what) { return take(1, what)[0]; }
  uint16_t u16(const char* what) { return load_u16(take(2, what).data()); }
  uint32_t u32(const char* what) { return load_u32(take(4, what).data()); }

  uint64_t varint(const char* what) {
    const Varint v = read_varint(data_.data() + pos_, remaining());
    pos_ += static_cast<size_t>(v.bytes);
    if (v.fault == Varint::kEnds) fail(std::string("the data ends inside ") + what);
    if (v.fault == Varint::kNotShortest)
      fail(std::string("a varint that is not in its shortest form in ") + what);
    if (v.fault == Varint::kTooLong) fail(std::string("a varint of more than 9 bytes in ") + what);
    return v.value;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw CorruptStream(context_ + "byte " + std::to_string(base_ + pos_) + ": " + problem);
  }

 private:
  Bytes data_;
  size_t base_;
  std::string context_;
  size_t pos_ = 0;
};

class ByteWriter {
 public:
  const std::vector<uint8_t>& bytes() const { return out_; }
  std::vector<uint8_t>& bytes() { return out_; }

  void u8(uint8_t v) { out_.push_back(v); }
  void u16(uint16_t v) {
    u8(static_cast<uint8_t>(v));
    u8(static_cast<uint8_t>(v >> 8));
  }
  void u32(uint32_t v) {
    u16(static_cast<uint16_t>(v));
    u16(static_cast<uint16_t>(v >> 16));
  }
  void varint(uint64_t v) {
    out_.resize(out_.size() + static_cast<size_t>(varint_bytes(v)));
    store_varint(out_.data() + out_.size() - varint_bytes(v), v);
  }
  void append(Bytes data) { out_.insert(out_.end(), data.begin(), data.end()); }

 private:
  std::vector<uint8_t> out_;
};

}  // namespace pycodec
