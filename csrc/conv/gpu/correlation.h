// The convolution and, with mirrored taps and transposed weights, the gradient of its input. A block computes
// up to 32 output channels for a run of tiles, plane after plane: what was the near plane is then the far
// one.
#pragma once

#include <cmath>

#include "base/tensor_core.h"
#include "conv/gpu/phased_block.h"
#include "conv/gpu/tiles.h"

namespace pycodec::conv::gpu {

struct Correlation {
  const void *x, *weight, *bias;  // bias [outputs] may be null
  void* y;
  int inputs, outputs;
  uint32_t weight_input, weight_output;  // distances in `weight` from an input, an output to the next
  int taps;
  Tiles tiles;
};

// --- Weights in shared memory: [group][tap][output], a slot for the channels of a group ---

// One slot is left out after the outputs of a tap, so that a warp's writes meet different banks.
template <int kOutputs>
constexpr int kWeightRow = kOutputs + 1;

// As many entries (group, tap) as are used, and one more of zeros if they are odd.
template <class Type, int kOutputs>
PYCODEC_HD void load_weights(const Correlation& c, int first_input, int groups, int first_output, int thread,
                             int threads, Slot* to) {
  const int entries = groups * c.taps;
  const int per_group = c.taps * kOutputs;
  const auto* weight = static_cast<const typename Type::Value*>(c.weight);
  for (int i = thread; i < groups * per_group; i += threads) {
    // Taps first: they lie together in `weight`.
    const int group = i / per_group, output = i % per_group / c.taps, tap = i % c.taps;
    const int input = first_input + group * Type::kLanes;
    const int count = first_output + output < c.outputs ? c.inputs - input : 0;
    const size_t from =
        size_t{c.weight_output} * (first_output + output) + size_t{c.weight_input} * input + tap;
    to[(group * c.taps + tap) * kWeightRow<kOutputs> + output] =
        Type::gather(weight + (count > 0 ? from : 0), c.weight_input, count);
  }
  if (entries % 2 != 0) {
    for (int i = thread; i < kOutputs; i += threads) to[entries * kWeightRow<kOutputs> + i] = Slot{};
  }
}

// --- The products of a warp: `kTiles` times 8 outputs for its share of the positions ---

template <class Type, int kTiles>
struct Products;

// Each lane sums four positions for all outputs.
template <int kTiles>
struct Products<Float32, kTiles> {
  static constexpr int kOutputs = 8 * kTiles, kRows = 4, kWarps = kPositions / (kRows * kWarpLanes);
  static constexpr int kBlocks = 5;
  Each<float[kRows * kOutputs]> sums;

  PYCODEC_HD static constexpr int position(int warp, int lane, int row) {
    return (warp * kRows + row) * kWarpLanes + lane;
  }

  // Bias of an output of the block.
  template <class Bias>
  PYCODEC_KERNEL void start(const Warp& warp, Bias bias) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int o = 0; o < kOutputs; ++o) {
        const float value = bias(o);
        PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) sums[lane][r * kOutputs + o] = value;
      }
    });
  }

  PYCODEC_KERNEL void add(const Tiles& tiles, const Warp& warp, int entries, const Slot* x,
                          const Slot* weights, const int* offsets) {
    warp.each([&](int lane) {
      float* sum = sums[lane];
      const Slot* at[kRows];
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) at[r] = x + tiles.slot(position(warp.index(), lane, r));
      for (int entry = 0; entry < entries; ++entry) {
        const Slot* const row = weights + entry * kWeightRow<kOutputs>;
        Slot values[kRows];
        PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) values[r] = at[r][offsets[entry]];
        PYCODEC_UNROLL for (int o = 0; o < kOutputs; ++o) {
          const Slot weight = row[o];
          PYCODEC_UNROLL for (int channel = 0; channel < Float32::kLanes; ++channel) {
            PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
              float& s = sum[r * kOutputs + o];
              s = fmaf(bits_float(values[r].words[channel]), bits_float(weight.words[channel]), s);
            }
          }
        }
      }
    });
  }

  // For each position that the warp has: to = place(position), and if that is not null, store(to, output,
  // sum) for all outputs.
  template <class Place, class Store>
  PYCODEC_KERNEL void each_position(const Warp& warp, Place place, Store store) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        if (auto* to = place(position(warp.index(), lane, r))) {
          PYCODEC_UNROLL for (int o = 0; o < kOutputs; ++o) store(to, o, sums[lane][r * kOutputs + o]);
        }
      }
    });
  }
};

// Tensor cores: rows are positions, columns outputs, and the inner dimension runs over entries (group, tap)
// of 8 channels, two at a time.
template <int kTiles>
struct Products<BFloat16, kTiles> {
  static constexpr int kOutputs = 8 * kTiles, kRows = 4, kWarps = kPositions / (kRows * 16);
  static constexpr int kBlocks = 4;
  Each<Sums<float>> sums[kRows][kTiles];

  PYCODEC_HD static constexpr int position(int warp, int tile, int row) {
    return (warp * kRows + tile) * 16 + row;
  }

  template <class Bias>
  PYCODEC_KERNEL void start(const Warp& warp, Bias bias) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) {
        PYCODEC_UNROLL for (int at = 0; at < 4; ++at) {
          const float value = bias(8 * n + sum_column(lane, at));
          PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) sums[r][n][lane].values[at] = value;
        }
      }
    });
  }

  PYCODEC_KERNEL void add(const Tiles& tiles, const Warp& warp, int entries, const Slot* x,
                          const Slot* weights, const int* offsets) {
    Each<const Slot* [kRows]> at;
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        at[lane][r] = x + tiles.slot(position(warp.index(), r, lane % 16));
      }
    });
    for (int entry = 0; entry < entries; entry += 2) {
      const Slot* const rows = weights + entry * kWeightRow<kOutputs>;
      Each<int> offset;
      warp.each([&](int lane) { offset[lane] = offsets[entry + lane / 16]; });
      Each<Right> b[kTiles];
      PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) {
        load_matrices<false>(warp, b[n], [&](int lane) {
          return rows + lane / 8 % 2 * kWeightRow<kOutputs> + 8 * n + lane % 8;
        });
      }
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        Each<Left> a;
        load_matrices<false>(warp, a, [&](int lane) { return at[lane][r] + offset[lane]; });
        PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) multiply_add(sums[r][n], a, b[n]);
      }
    }
  }

  template <class Place, class Store>
  PYCODEC_KERNEL void each_position(const Warp& warp, Place place, Store store) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        PYCODEC_UNROLL for (int at = 0; at < 4; at += 2) {  // two registers have one row
          if (auto* to = place(position(warp.index(), r, sum_row(lane, at)))) {
            PYCODEC_UNROLL for (int i = 0; i < 2 * kTiles; ++i) {
              const int column = at + i % 2;
              store(to, i / 2 * 8 + sum_column(lane, column), sums[r][i / 2][lane].values[column]);
            }
          }
        }
      }
    });
  }
};

// --- The program of a block: block.x counts runs of tiles, block.y groups of outputs ---

template <class Type, int kTiles>
struct Correlate {
  using Arguments = Correlation;
  using Value = typename Type::Value;
  using P = Products<Type, kTiles>;
  static constexpr int kOutputs = P::kOutputs, kThreads = P::kWarps * kWarpLanes, kBlocks = P::kBlocks;

  // Shared memory: two frames, the weights, and the offset of each entry for either place of the near plane.
  PYCODEC_HD static constexpr int entries(int groups, int taps) { return (groups * taps + 1) / 2 * 2; }
  PYCODEC_HD static constexpr size_t shared_slots(int groups, int taps) {
    const int n = entries(groups, taps);
    return 2 * groups * kFrame + n * kWeightRow<kOutputs> + n / 2;
  }
  static size_t shared_slots(const Correlation& c) {
    return shared_slots(Chunks<Type>(c.inputs).groups, c.taps);
  }

  template <class Block>
  PYCODEC_KERNEL static void run(const Correlation& c, const Block& block) {
    static_assert(shared_slots(Type::kGroups, kMaxTaps) * sizeof(Slot) <= kSharedBytes);
    const Tiles& tiles = c.tiles;
    const Chunks<Type> chunks(c.inputs);
    const int groups = chunks.groups, entry_count = entries(groups, c.taps);
    const int first_output = block.y * kOutputs;
    Slot* const x = block.shared;
    Slot* const weights = x + 2 * groups * kFrame;
    int* const offsets = reinterpret_cast<int*>(weights + entry_count * kWeightRow<kOutputs>);
    typename Block::template PerWarp<P> products(block);

    const int first = tiles.first_item(block.x), end = tiles.end_item(block.x);
    Place at = tiles.place(first);
    for (int item = first; item < end; tiles.next(at, ++item)) {
      const int near = item % 2;
      // With a single chunk the weights stay, and the near plane of the last item is this one's far plane.
      const bool again = chunks.count == 1 && item > first;
      for (int chunk = 0; chunk < chunks.count; ++chunk) {
        const int first_input = chunks.first_channel(chunk);
        block.each_thread([&](int thread) {
          const auto load = [&](int plane, int frame) {
            load_frame<Type>(tiles, at, plane, c.x, c.inputs, first_input, groups, thread, kThreads,
                             x + frame * groups * kFrame);
          };
          load(at.plane, near);
          if (!again || at.rank == 0) load(at.plane - tiles.step, 1 - near);
          if (again) return;
          load_weights<Type, kOutputs>(c, first_input, groups, first_output, thread, kThreads, weights);
          for (int i = thread; i < 2 * entry_count; i += kThreads) {
            // One entry too many has weights of zero and repeats the last, so that no more is seen than
            // allowed.
            const int e = i % entry_count, entry = e < groups * c.taps ? e : e - 1;
            offsets[i] = tap_offset(tiles, entry % c.taps, entry / c.taps, groups, i / entry_count);
          }
        });
        block.each_warp([&](const Warp& warp) {
          P& product = products[warp];
          if (chunk == 0) product.start(warp, [&](int output) { return bias(c, first_output + output); });
          product.add(tiles, warp, groups * c.taps, x, weights, offsets + near * entry_count);
          if (chunk + 1 == chunks.count) store(c, at, first_output, warp, product);
        });
      }
    }
  }

  PYCODEC_HD static float bias(const Correlation& c, int output) {
    const bool given = c.bias != nullptr && output < c.outputs;
    return given ? Type::load(static_cast<const Value*>(c.bias)[output]) : 0.0f;
  }

  PYCODEC_KERNEL static void store(const Correlation& c, const Place& at, int first_output, const Warp& warp,
                                   P& product) {
    const Tiles& tiles = c.tiles;
    Value* const plane = static_cast<Value*>(c.y) + tiles.plane(at, at.plane, c.outputs, first_output);
    const auto place = [&](int position) {
      const int to = tiles.in_tile(at, position);
      return to < 0 ? nullptr : plane + to;
    };
    const uint32_t count = c.outputs - first_output;
    const auto write = [&](Value* to, uint32_t output, float sum) {
      to[size_t{tiles.channel} * output] = Type::store(sum);
    };
    if (count >= kOutputs) {
      product.each_position(warp, place, write);
    } else {
      product.each_position(warp, place, [&](Value* to, uint32_t output, float sum) {
        if (output < count) write(to, output, sum);
      });
    }
  }
};

}  // namespace pycodec::conv::gpu
