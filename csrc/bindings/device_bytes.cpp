// Binds what every coder on a device needs: pieces copied together, and a checksum.
#include "base/device_bytes.h"

#include <pybind11/pybind11.h>

#include "bindings/bindings.h"
#include "bindings/device.h"

namespace py = pybind11;
using pycodec::at_address;
using pycodec::queue_of;

namespace {

void gather(const py::object& queue, uint64_t pieces, uint64_t count, uint64_t out) {
  pycodec::run(pycodec::Gather{at_address<const pycodec::Piece>(pieces), at_address<uint8_t>(out)}, count,
               queue_of(queue));
}

pycodec::Crc32 crc_of(uint64_t words, uint64_t count, uint64_t sum) {
  return {at_address<const uint32_t>(words), count, at_address<uint32_t>(sum)};
}

void crc32(const py::object& queue, uint64_t words, uint64_t count, uint64_t sum) {
  const pycodec::Crc32 body = crc_of(words, count, sum);
  pycodec::run(body, body.warps(), queue_of(queue));
}

}  // namespace

void bind_device_bytes(py::module_& m) {
  m.def("device_gather", &gather, "Copies pieces (address, offset, bytes) together.");
  m.def("device_crc32", &crc32, "Sums up the CRC-32 of 32-bit words, see device_crc32_finish.");
  m.def("device_crc32_finish", [](uint64_t count, uint32_t sum) { return crc_of(0, count, 0).finish(sum); });
}
