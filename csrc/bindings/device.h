// What Python passes about memory of a device: addresses as integers, a queue as None or (device, stream).
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "base/queue.h"

namespace pycodec {

template <class T>
T* at_address(uint64_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

// None: the kernels as a loop on the host.
inline Queue queue_of(const pybind11::object& queue) {
  if (queue.is_none()) return {};
  const auto pair = queue.cast<std::pair<int, uint64_t>>();
  return {pair.first, at_address<void>(pair.second)};
}

}  // namespace pycodec
