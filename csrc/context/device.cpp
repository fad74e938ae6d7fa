// The host's side of the context model on a device: what is uploaded, and the kernels as loops.
#include "context/device.h"

#include <algorithm>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "context/launch.h"

namespace pycodec::context {
namespace {

// Arrays one after the other, each aligned for any load.
class Sections {
 public:
  // As a number, because it may be null where only the size is wanted.
  explicit Sections(const uint8_t* base) : base_(reinterpret_cast<uintptr_t>(base)) {}

  template <class T>
  const T* next(size_t count) {
    const uintptr_t at = base_ + size_;
    size_ += (count * sizeof(T) + 15) / 16 * 16;
    return reinterpret_cast<const T*>(at);
  }
  size_t size() const { return size_; }

 private:
  uintptr_t base_;
  size_t size_ = 0;
};

int ceil_div_int(int a, int b) { return (a + b - 1) / b; }

template <class T, class U>
void fill(const T* to, const std::vector<U>& from) {
  std::copy(from.begin(), from.end(), const_cast<T*>(to));
}

// Weights as tensor cores take them, a chunk of inputs and a tile of outputs after the other.
// weight(output, input) is asked only for those below `outputs` and `inputs`.
template <class Weight>
void pack_tiles(int outputs, int inputs, int chunks, int tiles, Right*& to, const Weight& weight) {
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int tile = 0; tile < tiles; ++tile) {
      for (int lane = 0; lane < kWarpLanes; ++lane, ++to) {
        *to = Right{};
        const int o = tile * kTileOutputs + lane / 4;
        for (int k = 0; k < 8; ++k) {
          const int input = chunk * kChunkInputs + k / 4 * 16 + lane % 4 * 4 + k % 4;
          if (o >= outputs || input >= inputs) continue;
          to->words[k / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(weight(o, input))) << (k % 4 * 8);
        }
      }
    }
  }
}

// Runs body(block, memory, partials) in so many threads, as a GPU runs blocks: in fewer where there are no
// more to be had, since blocks take planes for as long as there are any.
void run_blocks_on_host(const DecodePlanes& body, int blocks) {
  const size_t far = far_bytes(body.layout, body.placement);
  const size_t near = near_bytes(body.layout, body.model, body.placement) / sizeof(Sums<int32_t>);
  std::vector<std::vector<Sums<int32_t>>> near_memory(blocks, std::vector<Sums<int32_t>>(near));
  const auto run = [&](int i) {
    uint8_t* far_memory = body.job.far_memory + i * far;
    uint8_t* memory = body.placement == Placement::kNothing
                          ? far_memory
                          : reinterpret_cast<uint8_t*>(near_memory[i].data());
    Sums<int32_t>* partials = reinterpret_cast<Sums<int32_t>*>(
        body.placement == Placement::kAllButPartials ? far_memory : memory + body.layout.partials);
    body(HostBlock(kPlaneWarps), memory, partials);
  };
  std::vector<std::thread> threads;
  threads.reserve(blocks);
  try {
    while (threads.size() + 1 < static_cast<size_t>(blocks)) threads.emplace_back(run, threads.size() + 1);
  } catch (const std::exception&) {
  }
  run(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

DeviceModel model_at(const Model& model, const uint8_t* flat) {
  DeviceModel m{};
  m.categorical = model.head == Head::kCategorical;
  m.width = model.width;
  m.outputs = model.outputs;
  std::copy(model.constants.begin(), model.constants.end(), m.constants);
  int weights = 0;
  for (int i = 0; i < 4; ++i) {
    LayerView& layer = m.layers[i];
    layer.inputs = i == 0 ? kTaps[0] : model.width;
    layer.outputs = model.channels(i);
    layer.taps = i == 0 ? 1 : kTaps[i];
    layer.chunks = ceil_div_int(layer.inputs, kChunkInputs);
    layer.tiles = ceil_div_int(layer.outputs, kTileOutputs);
    layer.first = weights;
    weights += layer.taps * layer.chunks * layer.tiles * kWarpLanes;
  }
  Sections sections(flat);
  m.weights = sections.next<Right>(weights);
  m.weight_bytes = sections.size();
  m.planes = model.sees_earlier_planes() ? model.planes : 0;
  m.earlier_chunks = ceil_div_int(m.planes, kChunkInputs);
  m.earlier = sections.next<Right>(static_cast<size_t>(m.planes) * 2 * m.earlier_chunks * m.layers[0].tiles *
                                   kWarpLanes);
  for (LayerView& layer : m.layers) layer.multipliers = sections.next<int32_t>(layer.tiles * kTileOutputs);
  for (const int32_t** array : {&m.bias1, &m.bias2, &m.residual})
    *array = sections.next<int32_t>(model.width);
  m.input_map = sections.next<uint8_t>(model.input_map.size());
  m.exp_table = sections.next<int32_t>(model.exp_table.size());
  m.logistic.offsets = sections.next<uint32_t>(model.offsets.size());
  m.logistic.starts = sections.next<uint16_t>(model.starts.size());
  m.logistic.radius = sections.next<uint8_t>(model.table_radius.size());
  m.bytes = sections.size();
  return m;
}

std::vector<uint8_t> flat_model(const Model& model) {
  std::vector<uint8_t> flat(model_at(model, nullptr).bytes);
  const DeviceModel m = model_at(model, flat.data());
  Right* right = const_cast<Right*>(m.weights);
  for (int i = 0; i < 4; ++i) {
    const LayerView& layer = m.layers[i];
    fill(layer.multipliers, model.multipliers[i]);
    for (int tap = 0; tap < layer.taps; ++tap) {
      pack_tiles(layer.outputs, layer.inputs, layer.chunks, layer.tiles, right, [&](int o, int input) {
        const size_t row = static_cast<size_t>(o) * layer.inputs + input;
        return model.weights[i][i == 0 ? row : row * kTaps[i] + tap];
      });
    }
  }
  Right* earlier = const_cast<Right*>(m.earlier);
  for (int d = 0; d < m.planes; ++d) {
    for (int kind = 0; kind < 2; ++kind) {
      pack_tiles(m.width, d, m.earlier_chunks, m.layers[0].tiles, earlier,
                 [&](int o, int e) { return model.earlier_weights(d, e)[2 * o + kind]; });
    }
  }
  fill(m.bias1, model.bias1);
  fill(m.bias2, model.bias2);
  fill(m.residual, model.residual);
  fill(m.input_map, model.input_map);
  fill(m.exp_table, model.exp_table);
  fill(m.logistic.offsets, model.offsets);
  fill(m.logistic.starts, model.starts);
  fill(m.logistic.radius, model.table_radius);
  return flat;
}

void forward(const ForwardJob& job, const DeviceModel& model, const Queue& queue) {
  const uint64_t warps = ceil_div(job.shape.size(), kWarpLanes);
  run(ForwardCodes{job, model}, warps, queue);
  for (int layer = 0; layer < 4; ++layer) {
    const ForwardLayer body{job, model, layer};
    run(body, body.tiles_in_plane() * static_cast<uint64_t>(job.shape.planes), queue);
  }
  run(ForwardHead{job, model}, warps, queue);
}

void intervals(const IntervalJob& job, const DeviceModel& model, const Queue& queue) {
  const Intervals body{job, model};
  run(body, body.warps_in_plane() * static_cast<uint64_t>(job.shape.planes), queue);
}

void encode_substreams(const SubstreamJob& job, const Queue& queue) {
  run(EncodeSubstream{job}, static_cast<uint64_t>(job.layout.substreams()), queue);
}

void put_escapes(const EscapeJob& job, const Queue& queue) {
  run(PutEscapes{job}, static_cast<uint64_t>(job.shape.planes), queue);
}

std::vector<SubstreamRecord> substream_records(Shape shape, Bytes data, StreamLayout& layout) {
  if (data.size() > UINT32_MAX) throw InvalidArgument("a stream of 4 GB or more; only the CPU decodes it");
  std::vector<SubstreamRecord> records;
  const auto offset = [&](Bytes part) { return static_cast<uint32_t>(part.data() - data.data()); };
  for (const SubstreamParts& s : open_stream(shape.planes, data, layout)) {
    records.push_back({offset(s.states), offset(s.words), static_cast<uint32_t>(s.words.size() / 2),
                       offset(s.escapes), static_cast<uint32_t>(s.escapes.size())});
  }
  return records;
}

namespace {

// Of one block; on the host little, so that tests meet every placement.
size_t shared_memory_of(const Queue& queue) {
  if (queue.on_host()) return 48 * 1024;
#if PYCODEC_BUILD_CUDA
  return shared_memory(queue);
#else
  return 0;
#endif
}

}  // namespace

size_t far_bytes(const DeviceModel& model, Shape shape, const Queue& queue) {
  const NearLayout layout(shape, model);
  return far_bytes(layout, choose_placement(layout, model, shared_memory_of(queue)));
}

void decode_planes(const DecodeJob& job, const DeviceModel& model, const Queue& queue) {
  const NearLayout layout(job.shape, model);
  const DecodePlanes body{job, model, layout, choose_placement(layout, model, shared_memory_of(queue))};
  // No more planes than substreams can be at work: each waits for the one before in its substream.
  const int blocks = job.layout.substreams();
  if (queue.on_host()) return run_blocks_on_host(body, blocks);
#if PYCODEC_BUILD_CUDA
  launch(body, static_cast<uint64_t>(blocks), queue);
#else
  throw Error("this build of pycodec has no CUDA");
#endif
}

void check_faults(StreamLayout layout, Span<const PlaneFault> faults) {
  for (size_t plane = 0; plane < faults.size(); ++plane) {
    const char* problem;
    switch (faults[plane]) {
      case PlaneFault::kNone:
        continue;
      case PlaneFault::kBadState:
        problem = "begins with an impossible state";
        break;
      case PlaneFault::kWordsEnd:
        problem = "ends before its symbols do";
        break;
      case PlaneFault::kEscapesDamaged:
        problem = "holds an escape that is no varint, or lacks one";
        break;
      case PlaneFault::kEscapeRange:
        problem = "holds an escape out of range";
        break;
      case PlaneFault::kSymbolRange:
        problem = "holds a symbol out of range";
        break;
      case PlaneFault::kEndState:
        problem = "does not end in the state it was begun with";
        break;
      default:
        problem = "holds more data than its symbols";
    }
    throw CorruptStream("context substream " + std::to_string(plane % layout.substreams()) + " " + problem +
                        ": the data are damaged, or were coded by another model");
  }
}

}  // namespace pycodec::context
