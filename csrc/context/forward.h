// The encoder's pass over a volume whose symbols are all known: every layer over all positions, 16 to a warp,
// then the head. Positions of a plane count through its rows.
#pragma once

#include "base/bytes.h"
#include "base/warp.h"
#include "context/device.h"
#include "context/tensor_core_layers.h"

namespace pycodec::context {

// Input codes, 32 symbols a warp.
struct ForwardCodes {
  ForwardJob job;
  DeviceModel model;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t block) const {
    const int low = model.categorical ? 0 : -kMaxSymbol;
    const int high = model.categorical ? model.outputs - 1 : kMaxSymbol;
    warp.each([&](int lane) {
      const uint64_t i = block * kWarpLanes + lane;
      if (i >= job.shape.size()) return;
      const int32_t symbol = job.symbols[i];
      const bool good = symbol >= low && symbol <= high;
      if (!good) atomic_min(job.first_bad, i);
      job.codes[i] = model.input_code(good ? symbol : 0);
    });
  }
};

// A layer for one tile of positions.
struct ForwardLayer {
  ForwardJob job;
  DeviceModel model;
  int layer;

  PYCODEC_HD uint64_t tiles_in_plane() const { return (job.shape.plane_size() + kTileRows - 1) / kTileRows; }

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const Place at(job.shape, static_cast<int>(index / tiles_in_plane()), index % tiles_in_plane());
    const int tiles = model.layers[layer].tiles;
    for (int tile = 0; tile < tiles; tile += 4) {
      if (tiles - tile == 1) {
        outputs<1>(warp, at, tile);
      } else if (tiles - tile == 2) {
        outputs<2>(warp, at, tile);
      } else if (tiles - tile == 3) {
        outputs<3>(warp, at, tile);
      } else {
        outputs<4>(warp, at, tile);
      }
    }
  }

 private:
  // The positions of a tile.
  struct Place {
    PYCODEC_HD Place(Shape s, int p, uint64_t tile)
        : shape(s), plane(p), base(p * s.plane_size()), first(tile * kTileRows) {}

    PYCODEC_HD bool holds(int row) const { return first + row < shape.plane_size(); }
    PYCODEC_HD size_t at(int row) const { return base + first + row; }
    // Whether a tap of a row's position lies in the volume, and where.
    PYCODEC_HD bool find(int tap, int row, size_t& position) const {
      const size_t flat = holds(row) ? first + row : first;
      const Tap offset = tap_offset(tap);
      const int h = static_cast<int>(flat / shape.width) + offset.h;
      const int w = static_cast<int>(flat % shape.width) + offset.w;
      position = base + flat + offset.d * static_cast<ptrdiff_t>(shape.plane_size()) +
                 offset.h * static_cast<ptrdiff_t>(shape.width) + offset.w;
      return plane + offset.d >= 0 && h >= 0 && h < shape.height && w >= 0 && w < shape.width;
    }

    Shape shape;
    int plane;
    size_t base, first;
  };

  PYCODEC_KERNEL const int32_t* bias(int plane) const {
    if (layer == 0) return job.biases.bias0 + static_cast<size_t>(plane) * model.width;
    if (layer == 3) return job.biases.bias3 + static_cast<size_t>(plane) * model.outputs;
    return layer == 1 ? model.bias1 : model.bias2;
  }

  template <int N>
  PYCODEC_KERNEL void outputs(const Warp& warp, const Place& at, int tile) const {
    const LayerView& view = model.layers[layer];
    Each<Sums<int32_t>> sums[N];
    start_sums(warp, bias(at.plane), view.outputs, tile, sums);
    if (layer == 0) {
      const auto code = [&](int tap, int row) {
        size_t position;
        return at.find(tap, row, position) ? job.codes[position] : model.constants[0];
      };
      add_first_layer(warp, view, model.weights, tile, code, sums);
      const auto earlier = [&](int plane, int row) {
        return at.holds(row) ? job.codes[plane * job.shape.plane_size() + at.first + row]
                             : model.constants[0];
      };
      if (model.planes > 0) add_earlier_planes(warp, model, at.plane, tile, earlier, sums);
    } else {
      const uint8_t* codes = job.hidden[layer - 1];
      const uint32_t outside = model.constants[layer] * 0x01010101u;
      const auto input = [&](int tap, int row, int channel) {
        size_t position;
        if (!at.find(tap, row, position)) return outside;
        return load_as<uint32_t>(codes + position * model.width + channel);
      };
      add_taps(warp, view, model.weights, 0, 14, tile, input, sums);
    }
    if (layer == 3) {
      const auto store = [&](int row, int o, int32_t value) {
        if (at.holds(row)) job.values[o * job.shape.size() + at.at(row)] = value;
      };
      return store_outputs(warp, view, tile, store, sums);
    }
    const auto skip = [&](int row, int channel) -> uint32_t {
      if (!at.holds(row)) return 0;
      return load_as<uint16_t>(job.hidden[0] + at.at(row) * model.width + channel);
    };
    const auto store = [&](int row, int channel, uint16_t pair) {
      if (at.holds(row)) store_as(job.hidden[layer] + at.at(row) * model.width + channel, pair);
    };
    store_codes(warp, view, tile, layer == 2 ? model.residual : nullptr, skip, store, sums);
  }
};

// Outputs of the last layer to what tables() gives, 32 positions a warp.
struct ForwardHead {
  ForwardJob job;
  DeviceModel model;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t block) const {
    warp.each([&](int lane) {
      const uint64_t i = block * kWarpLanes + lane;
      const size_t stride = job.shape.size();
      if (i >= stride) return;
      int32_t* values = job.values + i;
      if (model.categorical) {
        categorical_frequencies(model.exp_table, model.outputs, values, values, stride);
      } else {
        values[0] = clamped_location(values[0]);
        values[stride] = clamped_scale(values[stride]);
      }
    });
  }
};

}  // namespace pycodec::context
