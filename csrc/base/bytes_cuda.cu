// The launches of base/device_bytes.h.
#include "base/cuda.h"
#include "base/device_bytes.h"

namespace pycodec {

void launch(const Gather& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "copying bytes");
}
void launch(const Crc32& body, uint64_t warps, const Queue& queue) {
  run_on_device(body, warps, queue, "a checksum");
}

}  // namespace pycodec
