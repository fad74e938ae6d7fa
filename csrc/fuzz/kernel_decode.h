// A context stream through the device's decoder, its memory exactly as large as it has to be.
#pragma once

#include <vector>

#include "context/device.h"
#include "fuzz/random_model.h"

namespace pycodec::fuzz {

// run(job, model) decodes; throws CorruptStream as the decoder on a CPU does.
template <class Run>
void decode_by_kernels(const context::Model& m, const Volume& v, Bytes data, const Run& run,
                       std::vector<int32_t>& symbols) {
  using namespace context;
  const std::vector<uint8_t> flat = flat_model(m);
  const DeviceModel model = model_at(m, flat.data());
  StreamLayout layout;
  const std::vector<SubstreamRecord> records = substream_records(v.shape, data, layout);
  const size_t slots = layout.substreams() + 1, positions = v.shape.plane_size();
  std::vector<Carry> carries(layout.substreams());
  std::vector<uint32_t> progress(v.shape.planes), hidden(3 * slots * positions * (m.width / 4));
  std::vector<PlaneFault> faults(v.shape.planes);
  std::vector<uint8_t> codes(slots * positions);
  std::vector<uint8_t> far(layout.substreams() * far_bytes(model, v.shape, {}));
  uint32_t next_plane = 0;
  const DecodeJob job{v.shape,       layout,          {v.bias0.data(), v.bias3.data()},
                      data.data(),   records.data(),  carries.data(),
                      &next_plane,   progress.data(), faults.data(),
                      codes.data(),  hidden.data(),   far.data(),
                      symbols.data()};
  run(job, model);
  check_faults(layout, faults);
}

}  // namespace pycodec::fuzz
