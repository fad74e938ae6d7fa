// Binds the context model on a device for pycodec/ops/device_context.py, which allocates all memory of the
// device and checks types and sizes.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/device_bytes.h"
#include "bindings/bindings.h"
#include "bindings/device.h"
#include "context/device.h"
#include "context/substreams.h"

namespace py = pybind11;
namespace ctx = pycodec::context;
using pycodec::at_address;
using pycodec::queue_of;

namespace {

using Volume = std::array<int64_t, 3>;

ctx::Shape shape_of(const Volume& v) {
  const bool good = v[0] > 0 && v[0] <= ctx::kMaxPlanes && v[1] > 0 && v[1] <= ctx::kMaxSide && v[2] > 0 &&
                    v[2] <= ctx::kMaxSide;
  if (!good) throw pycodec::InvalidArgument("a volume beyond 256 x 32768 x 32768 symbols, or an empty one");
  return {static_cast<int>(v[0]), static_cast<int>(v[1]), static_cast<int>(v[2])};
}

ctx::StreamLayout layout_of(const std::pair<int, int>& logs) { return {logs.first, logs.second}; }

ctx::DeviceModel model_of(const ctx::Model& model, uint64_t flat) {
  return ctx::model_at(model, at_address<const uint8_t>(flat));
}

py::bytes flat(const ctx::Model& model) {
  const std::vector<uint8_t> bytes = ctx::flat_model(model);
  return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void forward(const py::object& queue, const ctx::Model& model, uint64_t flat, const Volume& shape,
             uint64_t symbols, const std::array<uint64_t, 2>& biases, uint64_t codes,
             const std::array<uint64_t, 3>& hidden, uint64_t values, uint64_t first_bad) {
  ctx::forward(
      {shape_of(shape),
       at_address<const int32_t>(symbols),
       {at_address<const int32_t>(biases[0]), at_address<const int32_t>(biases[1])},
       at_address<uint8_t>(codes),
       {at_address<uint8_t>(hidden[0]), at_address<uint8_t>(hidden[1]), at_address<uint8_t>(hidden[2])},
       at_address<int32_t>(values),
       at_address<uint64_t>(first_bad)},
      model_of(model, flat), queue_of(queue));
}

void intervals(const py::object& queue, const ctx::Model& model, uint64_t flat, const Volume& shape,
               uint64_t symbols, uint64_t values, uint64_t coded, uint64_t escapes, uint64_t totals) {
  ctx::intervals({shape_of(shape), at_address<const int32_t>(symbols), at_address<const int32_t>(values),
                  at_address<pycodec::rans::Prepared>(coded), at_address<uint32_t>(escapes),
                  at_address<ctx::CodeTotals>(totals)},
                 model_of(model, flat), queue_of(queue));
}

// From the totals: the layout, and where the escapes of each plane go, substream after substream.
py::tuple choose(const Array<uint64_t>& totals, int planes) {
  const auto& sums = *reinterpret_cast<const ctx::CodeTotals*>(totals.data());
  uint64_t bytes = sums.cost >> 16;
  for (int d = 0; d < planes; ++d) bytes += sums.escape_bytes[d];
  const ctx::StreamLayout layout = ctx::choose_layout(bytes, planes);
  Array<uint64_t> offsets(planes + 1);
  uint64_t end = 0;
  for (int s = 0; s < layout.substreams(); ++s) {
    for (int d = s; d < planes; d += layout.substreams()) {
      offsets.mutable_at(d) = end;
      end += sums.escape_bytes[d];
    }
  }
  offsets.mutable_at(planes) = end;
  return py::make_tuple(std::make_pair(layout.log_substreams, layout.log_lanes), offsets);
}

void encode_substreams(const py::object& queue, const Volume& shape, const std::pair<int, int>& layout,
                       uint64_t coded, uint64_t words, uint64_t results) {
  ctx::encode_substreams(
      {shape_of(shape), layout_of(layout), at_address<const pycodec::rans::Prepared>(coded),
       at_address<uint16_t>(words), at_address<ctx::SubstreamResult>(results)},
      queue_of(queue));
}

void put_escapes(const py::object& queue, const Volume& shape, uint64_t escapes, uint64_t offsets,
                 uint64_t out) {
  ctx::put_escapes({shape_of(shape), at_address<const uint32_t>(escapes), at_address<const uint64_t>(offsets),
                    at_address<uint8_t>(out)},
                   queue_of(queue));
}

// The stream's head, the pieces of what follows it, and their bytes together.
py::tuple pieces(const Array<uint8_t>& results, const Volume& volume, const std::pair<int, int>& logs,
                 const Array<uint64_t>& escape_offsets, uint64_t words, uint64_t escapes,
                 uint64_t results_address) {
  const ctx::Shape shape = shape_of(volume);
  const ctx::StreamLayout layout = layout_of(logs);
  const auto* substreams = reinterpret_cast<const ctx::SubstreamResult*>(results.data());
  std::vector<ctx::SubstreamSizes> sizes;
  std::vector<pycodec::Piece> parts;
  uint64_t to = 0;
  const auto append = [&](uint64_t from, uint64_t bytes) { pycodec::append_pieces(parts, from, bytes, to); };
  for (int s = 0; s < layout.substreams(); ++s) {
    const int count = ctx::planes_of_substream(shape.planes, layout.substreams(), s);
    const int before = ctx::planes_before_substream(shape.planes, layout.substreams(), s);
    const uint64_t end = (before + count) * shape.plane_size();
    const uint64_t first_escape = escape_offsets.at(s);
    const uint64_t last_escape =
        s + 1 < layout.substreams() ? escape_offsets.at(s + 1) : escape_offsets.at(shape.planes);
    sizes.push_back({substreams[s].words, last_escape - first_escape});
    append(results_address + s * sizeof(ctx::SubstreamResult) + offsetof(ctx::SubstreamResult, states),
           4 * static_cast<uint64_t>(layout.lanes()));
    append(words + 2 * (end - substreams[s].words), 2 * substreams[s].words);
    append(escapes + first_escape, last_escape - first_escape);
  }
  const std::vector<uint8_t> head = ctx::stream_head(layout, sizes);
  return py::make_tuple(py::bytes(reinterpret_cast<const char*>(head.data()), head.size()),
                        pycodec::array_of(parts), to);
}

py::tuple records(const Volume& shape, const Array<uint8_t>& data) {
  ctx::StreamLayout layout;
  const auto found =
      ctx::substream_records(shape_of(shape), {data.data(), static_cast<size_t>(data.size())}, layout);
  const auto* bytes = reinterpret_cast<const uint8_t*>(found.data());
  const auto size = static_cast<py::ssize_t>(found.size() * sizeof(ctx::SubstreamRecord));
  return py::make_tuple(Array<uint8_t>(size, bytes), std::make_pair(layout.log_substreams, layout.log_lanes));
}

size_t far_bytes(const py::object& queue, const ctx::Model& model, const Volume& shape) {
  return ctx::far_bytes(model_of(model, 0), shape_of(shape), queue_of(queue));
}

void decode(const py::object& queue, const ctx::Model& model, uint64_t flat, const Volume& shape,
            const std::pair<int, int>& layout, const std::array<uint64_t, 2>& biases, uint64_t data,
            uint64_t substreams, uint64_t carries, uint64_t next_plane, uint64_t progress, uint64_t faults,
            uint64_t codes, uint64_t exchanged, uint64_t far_memory, uint64_t symbols) {
  const ctx::DecodeJob job{shape_of(shape),
                           layout_of(layout),
                           {at_address<const int32_t>(biases[0]), at_address<const int32_t>(biases[1])},
                           at_address<const uint8_t>(data),
                           at_address<const ctx::SubstreamRecord>(substreams),
                           at_address<ctx::Carry>(carries),
                           at_address<uint32_t>(next_plane),
                           at_address<uint32_t>(progress),
                           at_address<ctx::PlaneFault>(faults),
                           at_address<uint8_t>(codes),
                           at_address<uint32_t>(exchanged),
                           at_address<uint8_t>(far_memory),
                           at_address<int32_t>(symbols)};
  const ctx::DeviceModel device_model = model_of(model, flat);
  const pycodec::Queue where = queue_of(queue);
  const py::gil_scoped_release release;
  ctx::decode_planes(job, device_model, where);
}

void check(const std::pair<int, int>& layout, const Array<uint32_t>& faults) {
  ctx::check_faults(layout_of(layout), {reinterpret_cast<const ctx::PlaneFault*>(faults.data()),
                                        static_cast<size_t>(faults.size())});
}

}  // namespace

void bind_context_device(py::module_& m) {
  m.attr("DEVICE_SUBSTREAM_RESULT_BYTES") = sizeof(ctx::SubstreamResult);
  m.attr("DEVICE_CARRY_BYTES") = sizeof(ctx::Carry);
  m.attr("DEVICE_TOTALS") = sizeof(ctx::CodeTotals) / sizeof(uint64_t);
  m.def("device_context_flat", &flat, "What a device needs of a model.");
  m.def("device_context_forward", &forward);
  m.def("device_context_intervals", &intervals);
  m.def("device_context_choose", &choose, "The stream's layout, and where each plane's escapes go.");
  m.def("device_context_encode", &encode_substreams);
  m.def("device_context_escapes", &put_escapes);
  m.def("device_context_pieces", &pieces, "The stream's head, and the pieces of what follows it.");
  m.def("device_context_records", &records, "The substreams of a stream whose layout is right.");
  m.def("device_context_far_bytes", &far_bytes);
  m.def("device_context_decode", &decode);
  m.def("device_context_check", &check, "Raises what the first fault of a plane means.");
}
