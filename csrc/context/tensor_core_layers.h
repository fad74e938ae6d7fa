// The layers of the network for 16 positions at a time, on tensor cores: sums, and what becomes of them. The
// kernels say where inputs lie and where outputs go.
#pragma once

#include <cstdint>

#include "base/tensor_core.h"
#include "base/warp.h"
#include "context/device.h"

namespace pycodec::context {

constexpr int kTileRows = 16;     // positions of a tile
constexpr int kTileOutputs = 8;   // output channels of a tile
constexpr int kChunkInputs = 32;  // input channels that are summed at once

// First of the two output channels that a lane has sums of.
PYCODEC_HD constexpr int sums_output(int lane, int tile) { return tile * kTileOutputs + sum_column(lane, 0); }

// Sums of output tiles tile .. tile + N - 1 that hold nothing but the bias [outputs].
template <int N>
PYCODEC_KERNEL void start_sums(const Warp& warp, const int32_t* bias, int outputs, int tile,
                               Each<Sums<int32_t>> (&sums)[N]) {
  warp.each([&](int lane) {
    for (int i = 0; i < N; ++i) {
      const int o = sums_output(lane, tile + i);
      int32_t* values = sums[i][lane].values;
      values[0] = values[2] = o < outputs ? bias[o] : 0;
      values[1] = values[3] = o + 1 < outputs ? bias[o + 1] : 0;
    }
  });
}

// Adds the taps [first, last) of layers 1 to 3. input(tap, row, channel): the codes of channels channel ..
// channel + 3 under a tap of a row's position.
template <int N, class Input>
PYCODEC_KERNEL void add_taps(const Warp& warp, const LayerView& layer, const Right* weights, int first,
                             int last, int tile, Input input, Each<Sums<int32_t>> (&sums)[N]) {
  weights += layer.first + (first * layer.chunks * layer.tiles + tile) * kWarpLanes;
  for (int tap = first; tap < last; ++tap) {
    for (int chunk = 0; chunk < layer.chunks; ++chunk) {
      Each<Left> left;
      warp.each([&](int lane) {
        PYCODEC_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int channel = chunk * kChunkInputs + i / 2 * 16 + lane % 4 * 4;
          left[lane].words[i] = channel < layer.inputs ? input(tap, lane / 4 + i % 2 * 8, channel) : 0;
        }
      });
      PYCODEC_UNROLL
      for (int i = 0; i < N; ++i) {
        Each<Right> right;
        warp.each([&](int lane) { right[lane] = weights[i * kWarpLanes + lane]; });
        multiply_add(sums[i], left, right);
      }
      weights += layer.tiles * kWarpLanes;
    }
  }
}

// The same of layer 0, whose inputs are its taps: code(tap, row).
template <int N, class Code>
PYCODEC_KERNEL void add_first_layer(const Warp& warp, const LayerView& layer, const Right* weights, int tile,
                                    Code code, Each<Sums<int32_t>> (&sums)[N]) {
  Each<Left> left;
  warp.each([&](int lane) {
    left[lane] = {{0, 0, 0, 0}};
    PYCODEC_UNROLL
    for (int i = 0; i < 2; ++i) {
      PYCODEC_UNROLL
      for (int j = 0; j < 4; ++j) {
        const int tap = lane % 4 * 4 + j;
        if (tap < layer.inputs) {
          left[lane].words[i] |= static_cast<uint32_t>(code(tap, lane / 4 + i * 8)) << (8 * j);
        }
      }
    }
  });
  PYCODEC_UNROLL
  for (int i = 0; i < N; ++i) {
    Each<Right> right;
    warp.each([&](int lane) { right[lane] = weights[layer.first + (tile + i) * kWarpLanes + lane]; });
    multiply_add(sums[i], left, right);
  }
}

// The same of what layer 0 sees of the planes before a plane: code(plane, row), asked only for those.
template <int N, class Code>
PYCODEC_KERNEL void add_earlier_planes(const Warp& warp, const DeviceModel& model, int plane, int tile,
                                       Code code, Each<Sums<int32_t>> (&sums)[N]) {
  const int tiles = model.layers[0].tiles;
  const size_t kind = static_cast<size_t>(model.earlier_chunks) * tiles * kWarpLanes;
  const Right* weights = model.earlier + plane * 2 * kind + tile * kWarpLanes;
  for (int first = 0; first < plane; first += kChunkInputs, weights += tiles * kWarpLanes) {
    Each<Left> codes, magnitudes;
    warp.each([&](int lane) {
      PYCODEC_UNROLL
      for (int i = 0; i < 4; ++i) {
        uint32_t values = 0, distances = 0;
        PYCODEC_UNROLL
        for (int j = 0; j < 4; ++j) {
          const int e = first + i / 2 * 16 + lane % 4 * 4 + j;
          const uint8_t x = e < plane ? code(e, lane / 4 + i % 2 * 8) : model.constants[0];
          values |= static_cast<uint32_t>(x) << (8 * j);
          distances |= static_cast<uint32_t>(magnitude(x, model.constants[0])) << (8 * j);
        }
        codes[lane].words[i] = values;
        magnitudes[lane].words[i] = distances;
      }
    });
    PYCODEC_UNROLL
    for (int i = 0; i < N; ++i) {
      Each<Right> right;
      warp.each([&](int lane) { right[lane] = weights[i * kWarpLanes + lane]; });
      multiply_add(sums[i], codes, right);
      warp.each([&](int lane) { right[lane] = weights[kind + i * kWarpLanes + lane]; });
      multiply_add(sums[i], magnitudes, right);
    }
  }
}

// Rule 3 for a hidden layer: store(row, channel, pair) gets the codes of two channels, the lower one in the
// low byte. skip(row, channel) gives those of layer 0 in the same form, of which `residual` times is added;
// without a residual it is not called.
template <int N, class Skip, class Store>
PYCODEC_KERNEL void store_codes(const Warp& warp, const LayerView& layer, int tile, const int32_t* residual,
                                Skip skip, Store store, const Each<Sums<int32_t>> (&sums)[N]) {
  warp.each([&](int lane) {
    PYCODEC_UNROLL
    for (int i = 0; i < N; ++i) {
      const int o = sums_output(lane, tile + i);
      if (o >= layer.outputs) continue;  // hidden layers have an even number
      PYCODEC_UNROLL
      for (int e = 0; e < 4; e += 2) {
        int32_t even = sums[i][lane].values[e], odd = sums[i][lane].values[e + 1];
        if (residual != nullptr) {
          const uint32_t codes = skip(sum_row(lane, e), o);
          even = add_residual(even, static_cast<uint8_t>(codes), residual[o]);
          odd = add_residual(odd, static_cast<uint8_t>(codes >> 8), residual[o + 1]);
        }
        const uint32_t low = rescale_to_code(even, layer.multipliers[o]);
        const uint32_t high = rescale_to_code(odd, layer.multipliers[o + 1]);
        store(sum_row(lane, e), o, static_cast<uint16_t>(low | high << 8));
      }
    }
  });
}

// The same for the last layer: store(row, output, value), rescaled and not clamped.
template <int N, class Store>
PYCODEC_KERNEL void store_outputs(const Warp& warp, const LayerView& layer, int tile, Store store,
                                  const Each<Sums<int32_t>> (&sums)[N]) {
  warp.each([&](int lane) {
    PYCODEC_UNROLL
    for (int i = 0; i < N; ++i) {
      PYCODEC_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int o = sums_output(lane, tile + i) + e % 2;
        if (o < layer.outputs)
          store(sum_row(lane, e), o, rescale(sums[i][lane].values[e], layer.multipliers[o]));
      }
    }
  });
}

}  // namespace pycodec::context
