// The context model on a GPU: the passes that the encoder and the decoder consist of, over memory of the
// device. Python (pycodec/ops) allocates that memory and runs the passes; what the bytes are is decided here
// and in coder.cpp's terms, as for the CPU.
//
//   tables:  input codes, then layer after layer over the whole volume, then the head   (forward.h)
//   encode:  tables; every symbol's interval in coding order and what it costs; a warp for every substream,
//            another for the escapes of every plane                                     (substreams.h)
//   decode:  a block for every plane at work, all layers of a step at a time            (plane_decoder.h)
#pragma once

#include <cstdint>
#include <vector>

#include "base/queue.h"
#include "base/span.h"
#include "base/tensor_core.h"
#include "context/layout.h"
#include "context/spec.h"
#include "rans/device.h"

namespace pycodec::context {

// A layer's weights as tensor cores take them. Output channels come in tiles of 8; inputs in chunks of 32, so
// many for every tap. Layer 0 counts its 13 taps as the inputs of one.
struct LayerView {
  int first;                   // of its weights [taps][chunks][tiles][lane] among those of all layers
  const int32_t* multipliers;  // [8 tiles]
  int inputs, outputs, taps, chunks, tiles;
};

// A model's arrays in one piece of memory, wherever that lies.
struct DeviceModel {
  bool categorical;
  int width, outputs;
  uint8_t constants[4];
  const Right* weights;  // of all layers
  LayerView layers[4];
  // What layer 0 sees of earlier planes, as many chunks for each of `planes` planes: [plane][code,
  // magnitude][chunk of earlier planes][tile][lane]. 0 planes: it sees none.
  int planes, earlier_chunks;
  const Right* earlier;
  const int32_t *bias1, *bias2, *residual;  // [8 tiles]
  const int32_t* exp_table;                 // categorical
  LogisticTables logistic;                  // parametric
  const uint8_t* input_map;
  size_t weight_bytes, bytes;  // of the weights, and of all

  PYCODEC_HD uint8_t input_code(int32_t symbol) const {
    return input_map[categorical ? symbol : parametric_entry(symbol)];
  }
};
// A model's arrays as they lie from `flat` on, which is aligned to 16 bytes.
DeviceModel model_at(const Model& model, const uint8_t* flat);
std::vector<uint8_t> flat_model(const Model& model);

// Biases of one image on the device: [planes][width], [planes][outputs].
struct DeviceBiases {
  const int32_t *bias0, *bias3;
};

// --- Encoder ---

struct ForwardJob {
  Shape shape;
  const int32_t* symbols;
  DeviceBiases biases;
  uint8_t* codes;       // [symbols]
  uint8_t* hidden[3];   // [symbols][width]
  int32_t* values;      // [outputs][symbols], as tables() gives them
  uint64_t* first_bad;  // lowest position of a symbol out of range; begins as 2^64 - 1
};
void forward(const ForwardJob& job, const DeviceModel& model, const Queue& queue);

constexpr uint32_t kNoEscape = 0xffffffff;

struct CodeTotals {
  uint64_t cost;                      // of all intervals, see interval_cost
  uint64_t escape_bytes[kMaxPlanes];  // of each plane
};
struct IntervalJob {
  Shape shape;
  const int32_t* symbols;
  const int32_t* values;
  rans::Prepared* coded;  // [symbols] in coding order
  uint32_t* escapes;      // [symbols] in coding order: numbers of the side list or kNoEscape; parametric
  CodeTotals* totals;     // begins as 0
};
void intervals(const IntervalJob& job, const DeviceModel& model, const Queue& queue);

struct SubstreamResult {
  uint32_t states[kMaxLanes];
  uint64_t words;
};
struct SubstreamJob {
  Shape shape;
  StreamLayout layout;
  const rans::Prepared* coded;
  uint16_t* words;  // [symbols]: a substream's lie at the end of its planes' share, those before it first
  SubstreamResult* results;
};
void encode_substreams(const SubstreamJob& job, const Queue& queue);

struct EscapeJob {
  Shape shape;
  const uint32_t* escapes;
  const uint64_t* offsets;  // [planes] where a plane's bytes go
  uint8_t* out;
};
void put_escapes(const EscapeJob& job, const Queue& queue);

// --- Decoder ---

// A substream's parts, as offsets and sizes in bytes of the stream, but for `words`.
struct SubstreamRecord {
  uint32_t states_at, words_at, words, escapes_at, escape_bytes;
};
std::vector<SubstreamRecord> substream_records(Shape shape, Bytes data, StreamLayout& layout);

// What passes from a plane of a substream to the next one.
struct Carry {
  uint32_t states[kMaxLanes];
  uint32_t words, escape_bytes;  // read so far
};

enum class PlaneFault : uint32_t {
  kNone,
  kBadState,
  kWordsEnd,
  kEscapesDamaged,
  kEscapeRange,
  kSymbolRange,
  kEndState,
  kMore
};

struct DecodeJob {
  Shape shape;
  StreamLayout layout;
  DeviceBiases biases;
  const uint8_t* data;
  const SubstreamRecord* substreams;
  Carry* carries;        // [substreams]
  uint32_t* next_plane;  // begins as 0
  uint32_t* progress;    // [planes] completed steps; begin as 0
  PlaneFault* faults;    // [planes]
  uint8_t* codes;        // [symbols] in coding order
  uint32_t* exchanged;   // [3][slots][plane symbols][width / 4], slots being one more than the substreams
  uint8_t* far_memory;   // [substreams][far_bytes]
  int32_t* symbols;
};
// Bytes of the device's memory that one block needs where a multiprocessor's own does not suffice.
size_t far_bytes(const DeviceModel& model, Shape shape, const Queue& queue);
void decode_planes(const DecodeJob& job, const DeviceModel& model, const Queue& queue);

// Throws what the faults of the planes mean.
void check_faults(StreamLayout layout, Span<const PlaneFault> faults);

}  // namespace pycodec::context
