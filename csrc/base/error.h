// What native code throws; csrc/bindings/module.cpp translates each into its Python namesake in
// pycodec.errors.
#pragma once

#include <stdexcept>
#include <string>

namespace pycodec {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what) : std::runtime_error(what) {}
};

// An argument that cannot be used as it is (pycodec.errors.InvalidInput).
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

// Data that is not a stream the encoder wrote, or no longer (pycodec.errors.CorruptStream).
class CorruptStream : public Error {
 public:
  using Error::Error;
};

// A GPU that does not do what it was asked for (pycodec.errors.DeviceError).
class DeviceError : public Error {
 public:
  using Error::Error;
};

}  // namespace pycodec
