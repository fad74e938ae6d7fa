// The gradients of the weights and of the bias, in two steps without atomics, so that the same launch gives
// the same bits: each block sums over a run of tiles, plane after plane, then all blocks' sums are added in
// order.
#pragma once

#include <cmath>
#include <type_traits>

#include "base/tensor_core.h"
#include "conv/gpu/phased_block.h"
#include "conv/gpu/tiles.h"

namespace pycodec::conv::gpu {

struct WeightGradient {
  const void *x, *grad;
  void *grad_weight, *grad_bias;  // the latter [outputs] may be null
  float* partial;                 // [pair][block.x][value], see Layout
  int inputs, outputs;
  int outputs_of_a_block;
  int taps;
  int blocks;  // of the first step, for each pair
  Tiles tiles;
};

// What a block sums for a pair of up to 32 inputs and up to 32 outputs: a value for each entry, each channel
// of a slot and each output. Entries are (group, tap), and last the bias: a channel that is one everywhere.
struct Sum {
  int entry, channel, output;
};

template <class Type>
struct Layout {
  PYCODEC_HD explicit Layout(const WeightGradient& w)
      : chunks(w.inputs), taps(w.taps), outputs(w.outputs_of_a_block) {}
  Chunks<Type> chunks;
  int taps, outputs;
  PYCODEC_HD int bias() const { return chunks.groups * taps; }
  PYCODEC_HD int entries() const { return bias() + 1; }
  PYCODEC_HD int pairs(int all_outputs) const { return chunks.count * ceil_div(all_outputs, outputs); }
  PYCODEC_HD int chunk(int pair) const { return pair % chunks.count; }
  PYCODEC_HD int first_output(int pair) const { return pair / chunks.count * outputs; }

  // In memory values lie in the order that the warps which sum them write best: see OuterProducts::finish.
  PYCODEC_HD int values() const { return (kEntriesLast ? kWarpLanes : entries()) * Type::kLanes * outputs; }
  PYCODEC_HD Sum find(int value) const {
    const int entry = kEntriesLast ? value % kWarpLanes : value / (Type::kLanes * outputs);
    const int rest = kEntriesLast ? value / kWarpLanes : value % (Type::kLanes * outputs);
    return {entry, rest / outputs, rest % outputs};
  }
  static constexpr bool kEntriesLast = std::is_same<Type, Float32>::value;
};

// Where an entry finds the channels that go with a position. The bias, and what is no entry, finds the same
// slot wherever the position.
struct Source {
  int offset, mask;
  PYCODEC_HD int at(int slot) const { return offset + (slot & mask); }
};

// --- The products of a warp ---

template <class Type, int kTiles>
struct OuterProducts;

// A lane has an entry; each warp sums its share of the positions.
template <int kTiles>
struct OuterProducts<Float32, kTiles> {
  static constexpr int kOutputs = 8 * kTiles, kChannels = Float32::kLanes, kWarps = 4;
  static constexpr int kBlocks = 3, kSources = kWarpLanes;
  static_assert(Float32::kGroups * kMaxTaps + 1 <= kSources);
  static constexpr int kValues = kChannels * kOutputs;
  Each<float[kValues]> sums;

  PYCODEC_KERNEL void start(const Warp& warp) {
    warp.each([&](int lane) { PYCODEC_UNROLL for (int i = 0; i < kValues; ++i) sums[lane][i] = 0.0f; });
  }

  PYCODEC_KERNEL void add(const Tiles& tiles, const Warp& warp, int, const Slot* x, const Slot* grad,
                          const Source* sources) {
    constexpr int kShare = kPositions / kWarps;
    warp.each([&](int lane) {
      const Source source = sources[lane];
      const int step = source.mask & 1;
      for (int run = warp.index() * kShare; run < (warp.index() + 1) * kShare; run += 8) {
        const Slot* from = x + source.at(tiles.slot(run));
        PYCODEC_UNROLL_BY(4) for (int i = 0; i < 8; ++i, from += step) {
          add_position(*from, grad + run + i, sums[lane]);
        }
      }
    });
  }

  PYCODEC_KERNEL static void add_position(const Slot value, const Slot* grad, float* sum) {
    PYCODEC_UNROLL for (int o = 0; o < kOutputs; o += Float32::kLanes) {
      const Slot g = grad[o / Float32::kLanes * kPositions];
      PYCODEC_UNROLL for (int channel = 0; channel < kChannels; ++channel) {
        PYCODEC_UNROLL for (int i = 0; i < Float32::kLanes; ++i) {
          float& s = sum[channel * kOutputs + o + i];
          s = fmaf(bits_float(value.words[channel]), bits_float(g.words[i]), s);
        }
      }
    }
  }

  // Adds up the warps in pairs, by way of shared memory of [warp][value][lane]; the first one writes the
  // total.
  template <class Block, class PerWarp>
  PYCODEC_KERNEL static void finish(const Block& block, PerWarp& products, int, Slot* shared, float* to) {
    float* const passed = reinterpret_cast<float*>(shared);
    for (int left = kWarps / 2; left > 0; left /= 2) {
      block.each_warp([&](const Warp& warp) {
        if (warp.index() < left || warp.index() >= 2 * left) return;
        products[warp].copy(warp, passed + (warp.index() - left) * kValues * kWarpLanes);
      });
      block.each_warp([&](const Warp& warp) {
        if (warp.index() >= left) return;
        const float* other = passed + warp.index() * kValues * kWarpLanes;
        warp.each([&](int lane) {
          PYCODEC_UNROLL for (int i = 0; i < kValues; ++i) {
            products[warp].sums[lane][i] += other[i * kWarpLanes + lane];
          }
        });
      });
    }
    block.each_warp([&](const Warp& warp) {
      if (warp.index() == 0) products[warp].copy(warp, to);
    });
  }

  PYCODEC_KERNEL void copy(const Warp& warp, float* to) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int i = 0; i < kValues; ++i) to[i * kWarpLanes + lane] = sums[lane][i];
    });
  }
};

// Tensor cores: rows are entries of 8 channels, two at a time, columns outputs, and the inner dimension runs
// over positions. A warp has every kWarps-th pair of entries, for all positions.
template <int kTiles>
struct OuterProducts<BFloat16, kTiles> {
  static constexpr int kOutputs = 8 * kTiles, kRows = 4, kWarps = 8;
  static constexpr int kBlocks = 2, kSources = 2 * kRows * kWarps;
  static_assert(BFloat16::kGroups * kMaxTaps + 1 <= kSources);
  Each<Sums<float>> sums[kRows][kTiles];

  PYCODEC_HD static constexpr int entry(int warp, int row) { return 2 * (warp + kWarps * row); }

  PYCODEC_KERNEL void start(const Warp& warp) {
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) sums[r][n][lane] = {};
      }
    });
  }

  PYCODEC_KERNEL void add(const Tiles& tiles, const Warp& warp, int entries, const Slot* x, const Slot* grad,
                          const Source* sources) {
    Each<Source[kRows]> from;
    warp.each([&](int lane) {
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        from[lane][r] = sources[entry(warp.index(), r) + lane / 8 % 2];
      }
    });
    for (int position = 0; position < kPositions; position += 16) {
      Each<Right> b[kTiles];
      PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) {
        load_matrices<true>(warp, b[n],
                            [&](int lane) { return grad + n * kPositions + position + lane % 16; });
      }
      Each<int> slot;
      warp.each([&](int lane) { slot[lane] = tiles.slot(position + lane / 16 * 8 + lane % 8); });
      PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
        if (entry(0, r) >= entries) break;  // the same for all warps
        Each<Left> a;
        load_matrices<true>(warp, a, [&](int lane) { return x + from[lane][r].at(slot[lane]); });
        PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) multiply_add(sums[r][n], a, b[n]);
      }
    }
  }

  template <class Block, class PerWarp>
  PYCODEC_KERNEL static void finish(const Block& block, PerWarp& products, int entries, Slot*, float* to) {
    block.each_warp([&](const Warp& warp) {
      warp.each([&](int lane) {
        PYCODEC_UNROLL for (int r = 0; r < kRows; ++r) {
          PYCODEC_UNROLL for (int n = 0; n < kTiles; ++n) {
            PYCODEC_UNROLL for (int at = 0; at < 4; ++at) {
              const int row = entry(warp.index(), r) * BFloat16::kLanes + sum_row(lane, at);
              if (row >= entries * BFloat16::kLanes) continue;
              to[row * kOutputs + 8 * n + sum_column(lane, at)] = products[warp].sums[r][n][lane].values[at];
            }
          }
        }
      });
    });
  }
};

// --- Step 1: block.x counts runs of tiles, block.y pairs of inputs and outputs ---

template <class Type, int kTiles>
struct SumGradients {
  using Arguments = WeightGradient;
  using Value = typename Type::Value;
  using P = OuterProducts<Type, kTiles>;
  static constexpr int kOutputs = P::kOutputs, kThreads = P::kWarps * kWarpLanes, kBlocks = P::kBlocks;
  static constexpr int kGradGroups = kOutputs / Type::kLanes;

  // Shared memory: two frames of x, a tile of the gradient, the slot of ones, and the source of each entry
  // for either place of the near plane.
  PYCODEC_HD static constexpr size_t shared_slots(int groups) {
    return 2 * groups * kFrame + kGradGroups * kPositions + 1 + P::kSources;
  }
  static size_t shared_slots(const WeightGradient& w) { return shared_slots(Chunks<Type>(w.inputs).groups); }

  template <class Block>
  PYCODEC_KERNEL static void run(const WeightGradient& w, const Block& block) {
    static_assert(shared_slots(Type::kGroups) * sizeof(Slot) <= kSharedBytes);
    const Tiles& tiles = w.tiles;
    const Layout<Type> layout(w);
    const int groups = layout.chunks.groups;
    const int first_input = layout.chunks.first_channel(layout.chunk(block.y));
    const int first_output = layout.first_output(block.y);
    Slot* const x = block.shared;
    Slot* const grad = x + 2 * groups * kFrame;
    Slot* const ones = grad + kGradGroups * kPositions;
    Source* const sources = reinterpret_cast<Source*>(ones + 1);
    typename Block::template PerWarp<P> products(block);

    const int first = tiles.first_item(block.x), end = tiles.end_item(block.x);
    Place at = tiles.place(first);
    for (int item = first; item < end; tiles.next(at, ++item)) {
      const int near = item % 2;
      block.each_thread([&](int thread) {
        const auto load = [&](int plane, int frame) {
          load_frame<Type>(tiles, at, plane, w.x, w.inputs, first_input, groups, thread, kThreads,
                           x + frame * groups * kFrame);
        };
        load(at.plane, near);
        load_tile<Type>(tiles, at, w.grad, w.outputs, first_output, kGradGroups, thread, kThreads, grad);
        if (item == first || at.rank == 0) load(at.plane - tiles.step, 1 - near);
        if (item > first) return;
        if (thread == 0) *ones = one();
        for (int i = thread; i < 2 * P::kSources; i += kThreads) {
          const int entry = i % P::kSources;
          sources[i] =
              entry < layout.bias()
                  ? Source{tap_offset(tiles, entry % w.taps, entry / w.taps, groups, i / P::kSources), -1}
                  : Source{static_cast<int>(ones - x), 0};
        }
      });
      block.each_warp([&](const Warp& warp) {
        P& product = products[warp];
        if (item == first) product.start(warp);
        product.add(tiles, warp, layout.entries(), x, grad, sources + near * P::kSources);
      });
    }
    float* const to = w.partial + (static_cast<int64_t>(block.y) * w.blocks + block.x) * layout.values();
    P::finish(block, products, layout.entries(), x, to);
  }

  // A slot whose first channel is one.
  PYCODEC_HD static Slot one() {
    const Value value = Type::store(1.0f);
    return Type::gather(&value, 0, 1);
  }
};

// --- Step 2: a block of threads adds up kValues values, kSlices blocks' sums at a time ---

template <class Type>
struct AddUp {
  using Arguments = WeightGradient;
  using Value = typename Type::Value;
  static constexpr int kValues = 32, kSlices = 8, kThreads = kValues * kSlices, kBlocks = 1;

  static size_t shared_slots(const WeightGradient&) { return kThreads / 4; }

  template <class Block>
  PYCODEC_KERNEL static void run(const WeightGradient& w, const Block& block) {
    const Layout<Type> layout(w);
    const int values = layout.values(), pair = block.y;
    const float* const partial = w.partial + static_cast<int64_t>(pair) * w.blocks * values;
    float* const sums = reinterpret_cast<float*>(block.shared);
    block.each_thread([&](int thread) {
      const int value = block.x * kValues + thread % kValues;
      float sum = 0.0f;
      if (value < values) {
        PYCODEC_UNROLL_BY(4) for (int b = thread / kValues; b < w.blocks; b += kSlices) {
          sum += partial[static_cast<int64_t>(b) * values + value];
        }
      }
      sums[thread] = sum;
    });
    block.each_thread([&](int thread) {
      const int value = block.x * kValues + thread;
      if (thread >= kValues || value >= values) return;
      float sum = sums[thread];
      for (int slice = 1; slice < kSlices; ++slice) sum += sums[slice * kValues + thread];
      store(w, layout, pair, value, sum);
    });
  }

  PYCODEC_KERNEL static void store(const WeightGradient& w, const Layout<Type>& layout, int pair, int value,
                                   float sum) {
    const Sum at = layout.find(value);
    const int chunk = layout.chunk(pair), output = layout.first_output(pair) + at.output;
    if (output >= w.outputs || at.entry >= layout.entries()) return;
    if (at.entry == layout.bias()) {
      const bool wanted = w.grad_bias != nullptr && chunk == 0 && at.channel == 0;
      if (wanted) static_cast<Value*>(w.grad_bias)[output] = Type::store(sum);
      return;
    }
    const int group = at.entry / w.taps, tap = at.entry % w.taps;
    const int input = layout.chunks.first_channel(chunk) + group * Type::kLanes + at.channel;
    if (input >= w.inputs) return;
    Value* const to =
        static_cast<Value*>(w.grad_weight) + (size_t{kWeights} * output * w.inputs + input * kWeights);
    to[tap] = Type::store(sum);
    if (tap == 0) {
      for (int unused = w.taps; unused < kWeights; ++unused) to[unused] = Type::store(0.0f);
    }
  }
};

}  // namespace pycodec::conv::gpu
