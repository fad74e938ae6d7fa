// What Python passes about memory of a device: addresses as integers, a queue as None or (device, stream).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/device_bytes.h"
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

// Bytes at the address `from` as pieces for Gather, small enough for one warp each; they go to the offset
// `to` on, which is moved behind them.
inline void append_pieces(std::vector<Piece>& pieces, uint64_t from, uint64_t bytes, uint64_t& to) {
  constexpr uint64_t kPieceBytes = 4096;
  for (uint64_t done = 0; done < bytes; done += kPieceBytes) {
    const uint64_t n = std::min(kPieceBytes, bytes - done);
    pieces.push_back({from + done, to, n});
    to += n;
  }
}
inline pybind11::array_t<uint64_t> array_of(const std::vector<Piece>& pieces) {
  return pybind11::array_t<uint64_t>({static_cast<pybind11::ssize_t>(pieces.size()), pybind11::ssize_t{3}},
                                     reinterpret_cast<const uint64_t*>(pieces.data()));
}

}  // namespace pycodec
