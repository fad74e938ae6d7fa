// The programs of the GPU on the host, one block after another.
#include <cstring>
#include <vector>

#include "conv/gpu/launch.h"

namespace pycodec::conv::gpu {

template <class Program>
int Emulation::blocks_at_once(size_t) const {
  return blocks;
}

template <class Program>
void Emulation::run(const typename Program::Arguments& arguments, int x, int y) const {
  std::vector<Slot> shared(Program::shared_slots(arguments));
  for (int i = 0; i < x * y; ++i) {
    // Not numbers: what a block has not written itself must not count.
    std::memset(static_cast<void*>(shared.data()), 0xff, shared.size() * sizeof(Slot));
    const HostPhasedBlock block{shared.data(), i % x, i / x, Program::kThreads, reverse};
    Program::run(arguments, block);
  }
}

PYCODEC_CONV_GPU_FUNCTIONS(Emulation);

}  // namespace pycodec::conv::gpu
