// What a block keeps close while it decodes planes: the activations its next steps can see, and the step at
// work. In shared memory, as far as that suffices.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"
#include "context/tensor_core_layers.h"

namespace pycodec::context {

// The steps that are kept when step t is at work: of the previous plane t - 2 .. t + 4, of the plane itself
// t - 2 .. t, since the earlier taps of t are summed up already.
constexpr int kPreviousSlots = 7, kOwnSlots = 3, kSlots = kPreviousSlots + kOwnSlots;
PYCODEC_HD constexpr int previous_slot(int step) { return step % kPreviousSlots; }
PYCODEC_HD constexpr int own_slot(int step) { return kPreviousSlots + step % kOwnSlots; }

// Where a tap's inputs lie: row i of the step at work sees row i + shift of a slot, which holds `count` rows.
struct TapRow {
  int32_t slot, shift, count, unused;
};

// Boundaries of a symbol's classes that lie close: as many as a warp's lanes compare at once.
constexpr int kNearStarts = kWarpLanes + 1;

struct NearLayout {
  NearLayout() = default;
  NearLayout(Shape shape, const DeviceModel& model)
      : row_tiles((max_rows_in_step(shape) + kTileRows - 1) / kTileRows),
        // 8 more than a multiple of 16: then the lanes of a tile, 8 rows of 4 groups, meet no bank twice.
        stride((max_rows_in_step(shape) + 7) / 16 * 16 + 8),
        groups(model.width / 4) {
    const size_t rows = stride;
    size_t sums = 0;
    take(taps, 2 * 14 * sizeof(TapRow));
    take(hidden, 3 * kSlots * groups * rows * sizeof(uint32_t));
    take(outputs, model.outputs * rows * sizeof(int32_t));
    take(escapes, rows * sizeof(uint32_t));
    take(starts, rows * (kNearStarts + 1) * sizeof(uint16_t));
    take(classes, rows * sizeof(uint16_t));
    take(codes, kSlots * rows);
    take(plane, sizeof(uint32_t));
    for (int layer = 0; layer < 4; ++layer) {
      first_partial[layer] = sums;
      sums += static_cast<size_t>(row_tiles) * model.layers[layer].tiles * kWarpLanes;
    }
    take(partials, sums * sizeof(Sums<int32_t>));
  }

  int row_tiles = 0, stride = 0, groups = 0;
  // Offsets in bytes.
  size_t taps = 0;               // TapRow [even and odd steps][14]
  size_t hidden = 0;             // uint32 [3 layers][slot][group of 4 channels][row]
  size_t outputs = 0;            // int32 [output][row]
  size_t escapes = 0;            // uint32 [row]
  size_t starts = 0;             // uint16 [row][kNearStarts + 1]
  size_t classes = 0;            // uint16 [row]
  size_t codes = 0;              // uint8 [slot][row]
  size_t plane = 0;              // uint32
  size_t partials = 0;           // Sums of what lies at earlier steps: [layer][row tile][tile][lane]
  size_t bytes = 0;              // of all
  size_t first_partial[4] = {};  // Sums before each layer's

 private:
  void take(size_t& offset, size_t size) {
    offset = bytes;
    bytes += (size + 15) / 16 * 16;
  }
};

// What lies in shared memory: all and the weights too, all, all but the partial sums, or nothing.
enum class Placement { kWithWeights, kAll, kAllButPartials, kNothing };

inline size_t near_bytes(const NearLayout& layout, const DeviceModel& model, Placement placement) {
  switch (placement) {
    case Placement::kWithWeights:
      return layout.bytes + model.weight_bytes;
    case Placement::kAll:
      return layout.bytes;
    case Placement::kAllButPartials:
      return layout.partials;
    default:
      return 0;
  }
}
inline Placement choose_placement(const NearLayout& layout, const DeviceModel& model, size_t shared_memory) {
  for (const Placement p : {Placement::kWithWeights, Placement::kAll, Placement::kAllButPartials}) {
    if (near_bytes(layout, model, p) <= shared_memory) return p;
  }
  return Placement::kNothing;
}
// Bytes of the rest for each block.
inline size_t far_bytes(const NearLayout& layout, Placement placement) {
  if (placement == Placement::kAllButPartials) return layout.bytes - layout.partials;
  return placement == Placement::kNothing ? layout.bytes : 0;
}

}  // namespace pycodec::context
