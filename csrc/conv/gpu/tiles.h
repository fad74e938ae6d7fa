// How the GPU divides volumes: planes into tiles of up to kPositions positions, and what of a volume a block
// keeps in shared memory. All of it is integer arithmetic that the host executes in tests.
#pragma once

#include <cstdint>

#include "base/bfloat16.h"
#include "base/host_device.h"
#include "conv/gpu/phased_block.h"
#include "conv/taps.h"

namespace pycodec::conv::gpu {

PYCODEC_HD constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// --- Elements ---

// A slot of shared memory holds kLanes channels of one position. A block works on up to kGroups times as many
// inputs at once, and on up to kMostTiles times 8 outputs: as many as registers allow.
struct Float32 {
  using Value = float;
  static constexpr int kLanes = 4, kGroups = 2, kMostTiles = 3;

  PYCODEC_HD static float load(Value value) { return value; }
  PYCODEC_HD static Value store(float value) { return value; }

  // Channels at p, p + stride, ...; those from `count` on are zero.
  PYCODEC_HD static Slot gather(const Value* p, uint32_t stride, int count) {
    Slot slot;
    PYCODEC_UNROLL for (int i = 0; i < 4; ++i) {
      slot.words[i] = i < count ? float_bits(p[size_t{stride} * i]) : 0;
    }
    return slot;
  }
};

struct BFloat16 {
  using Value = uint16_t;
  static constexpr int kLanes = 8, kGroups = 4, kMostTiles = 4;

  PYCODEC_HD static float load(Value value) { return from_bfloat16(value); }
  PYCODEC_HD static Value store(float value) { return to_bfloat16(value); }

  PYCODEC_HD static Slot gather(const Value* p, uint32_t stride, int count) {
    Slot slot;
    PYCODEC_UNROLL for (int i = 0; i < 4; ++i) {
      const uint32_t low = 2 * i < count ? p[size_t{stride} * (2 * i)] : 0;
      const uint32_t high = 2 * i + 1 < count ? p[size_t{stride} * (2 * i + 1)] : 0;
      slot.words[i] = low | high << 16;
    }
    return slot;
  }
};

// The channels of a volume in as few chunks as can be, of equal numbers of groups.
template <class Type>
struct Chunks {
  PYCODEC_HD explicit constexpr Chunks(int channels)
      : count(channels > Type::kLanes * Type::kGroups ? ceil_div(channels, Type::kLanes * Type::kGroups) : 1),
        groups(channels > 0 ? ceil_div(ceil_div(channels, Type::kLanes), count) : 1) {}
  int count;
  int groups;  // in each
  PYCODEC_HD constexpr int first_channel(int chunk) const { return chunk * groups * Type::kLanes; }
};

// --- Positions ---

// n / by for n below 2^10 and by up to 2^6, without a division.
struct Divisor {
  int by = 1;
  int factor = (0xffff + by) / by;
  PYCODEC_HD constexpr int quotient(int n) const { return n * factor >> 16; }
};

constexpr int kPositions = 256;
// A tile with a border of one position all around, which taps may reach: its rows and columns are those of
// the tile and two more. Whatever the shape of the tile, so many slots have room for it.
constexpr int kFrame = 340;

// Where a tile lies in a batch of volumes.
struct Place {
  int batch;
  int rank;  // of its plane, in the order in which planes are visited
  int plane;
  int top, left;
};

struct Tiles {
  int planes, height, width;  // of a volume
  uint32_t area, channel;     // positions of a plane, of a volume
  int step;                   // between planes that are visited one after another: 1, or -1 from the last one
  Divisor columns;            // of a tile: a multiple of 8, so that runs of 8 positions lie in one row
  Divisor framed;             // columns of its frame
  int rows;                   // of a tile
  int across, down;           // tiles in a plane
  int items;                  // tiles in all; those of one place lie together, in the order of planes
  int per_block;              // items that a block computes, one after another

  PYCODEC_HD Place place(int item) const {
    const int tile = item / planes, rank = item - tile * planes;
    const int line = tile / across, batch = line / down;
    return {batch, rank, step > 0 ? rank : planes - 1 - rank, (line - batch * down) * rows,
            (tile - line * across) * columns.by};
  }
  // From the place of `item` - 1 to that of `item`.
  PYCODEC_HD void next(Place& at, int item) const {
    at.plane += step;
    if (++at.rank == planes) at = place(item);
  }
  PYCODEC_HD int first_item(int block) const { return block * per_block; }
  PYCODEC_HD int end_item(int block) const {
    return items - first_item(block) < per_block ? items : first_item(block) + per_block;
  }

  // Slot of the frame that lies at the upper left of a position, and how far from there a tap is.
  PYCODEC_HD int slot(int position) const { return position + 2 * columns.quotient(position); }
  PYCODEC_HD int shift(int row, int column) const { return (row + 1) * framed.by + column + 1; }

  // Where in its plane something lies, or -1 for outside of it: a slot of a tile's frame, and a position that
  // the tile computes. The last positions may be beyond its rows.
  PYCODEC_HD int in_frame(const Place& at, int slot) const {
    const int row = framed.quotient(slot);
    return in_plane(at.top - 1 + row, at.left - 1 + slot - row * framed.by);
  }
  PYCODEC_HD int in_tile(const Place& at, int position) const {
    const int row = columns.quotient(position);
    return row < rows ? in_plane(at.top + row, at.left + position - row * columns.by) : -1;
  }
  PYCODEC_HD int in_plane(int row, int column) const {
    const bool inside = static_cast<uint32_t>(row) < static_cast<uint32_t>(height) &&
                        static_cast<uint32_t>(column) < static_cast<uint32_t>(width);
    return inside ? row * width + column : -1;
  }

  // Where a channel of a plane begins in a batch of volumes.
  PYCODEC_HD int64_t plane(const Place& at, int plane, int channels, int first_channel) const {
    return (static_cast<int64_t>(at.batch) * channels + first_channel) * channel +
           static_cast<int64_t>(plane) * area;
  }
};

// Copies groups of channels at one place of a plane to slots that lie `stride` apart; zeros if `at` is -1.
template <class Type>
PYCODEC_HD void load_groups(const typename Type::Value* plane, int at, uint32_t channel, int channels,
                            int groups, Slot* to, int stride) {
  const typename Type::Value* from = plane + (at < 0 ? 0 : at);
  int count = at < 0 ? 0 : channels;
  for (int group = 0; group < groups; ++group, count -= Type::kLanes, to += stride) {
    *to = Type::gather(from, channel, count);
    from += size_t{channel} * Type::kLanes;
  }
}

// Copies `groups` groups of channels, from `first` on, of the frame around a tile; zeros outside the volume.
template <class Type>
PYCODEC_HD void load_frame(const Tiles& tiles, const Place& at, int plane, const void* volume, int channels,
                           int first, int groups, int thread, int threads, Slot* to) {
  const bool exists = plane >= 0 && plane < tiles.planes;
  const auto* from = static_cast<const typename Type::Value*>(volume);
  if (exists) from += tiles.plane(at, plane, channels, first);
  for (int slot = thread; slot < kFrame; slot += threads) {
    load_groups<Type>(from, exists ? tiles.in_frame(at, slot) : -1, tiles.channel, channels - first, groups,
                      to + slot, kFrame);
  }
}

// Copies groups of channels of the positions that a tile computes; zeros for the others.
template <class Type>
PYCODEC_HD void load_tile(const Tiles& tiles, const Place& at, const void* volume, int channels, int first,
                          int groups, int thread, int threads, Slot* to) {
  const auto* from =
      static_cast<const typename Type::Value*>(volume) + tiles.plane(at, at.plane, channels, first);
  for (int position = thread; position < kPositions; position += threads) {
    load_groups<Type>(from, tiles.in_tile(at, position), tiles.channel, channels - first, groups,
                      to + position, kPositions);
  }
}

// What tap t of group g sees, relative to slot(position): frames lie as [far plane, near plane][group], the
// two planes in turn at either place.
PYCODEC_HD inline int tap_offset(const Tiles& tiles, int t, int group, int groups, int near) {
  const Tap tap = tap_at(t);
  const int frame = (tap.plane == 0 ? near : 1 - near) * groups + group;
  return frame * kFrame + tiles.shift(tiles.step * tap.row, tiles.step * tap.column);
}

}  // namespace pycodec::conv::gpu
