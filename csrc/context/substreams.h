// The encoder's kernels behind the tables: intervals in coding order, substreams of words, lists of escapes.
//
// Coding order is by plane, by step, by row.
#pragma once

#include "base/bytes.h"
#include "base/warp.h"
#include "context/device.h"
#include "rans/encode_round.h"

namespace pycodec::context {

// Substream s holds planes s, s + S, ..: how many, and how many those before it hold together.
PYCODEC_HD constexpr int planes_of_substream(int planes, int substreams, int s) {
  return (planes - s + substreams - 1) / substreams;
}
PYCODEC_HD constexpr int planes_before_substream(int planes, int substreams, int s) {
  const int longer = planes % substreams;
  return s * (planes / substreams) + (s < longer ? s : longer);
}

// The interval of every symbol, 32 a warp.
struct Intervals {
  IntervalJob job;
  DeviceModel model;

  PYCODEC_HD uint64_t warps_in_plane() const {
    return (job.shape.plane_size() + kWarpLanes - 1) / kWarpLanes;
  }

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const Shape shape = job.shape;
    const size_t plane = index / warps_in_plane(), size = shape.size();
    const uint32_t first = static_cast<uint32_t>(index % warps_in_plane()) * kWarpLanes;
    Each<uint64_t> costs, bytes;
    warp.each([&](int lane) {
      costs[lane] = bytes[lane] = 0;
      const uint32_t flat = first + static_cast<uint32_t>(lane);
      if (flat >= shape.plane_size()) return;
      const size_t i = plane * shape.plane_size() + flat;
      const int32_t y = job.symbols[i];
      Interval interval;
      uint32_t escape = kNoEscape;
      if (model.categorical) {
        interval = Categorical{job.values + i, size}.interval(y);
      } else {
        const Logistic table(model.logistic, job.values[i], job.values[size + i]);
        interval = table.interval(table.class_of(y, escape));
        if (escape != kNoEscape) bytes[lane] = static_cast<uint64_t>(varint_bytes(escape));
      }
      costs[lane] = interval_cost(interval.frequency);
      const int h = static_cast<int>(flat / static_cast<uint32_t>(shape.width));
      const int t = 2 * h + static_cast<int>(flat % static_cast<uint32_t>(shape.width));
      const size_t at =
          plane * shape.plane_size() + symbols_before_step(shape, t) + (h - first_row(shape, t));
      job.coded[at] = {interval.packed(), rans::reciprocal_of(interval.frequency)};
      if (!model.categorical) job.escapes[at] = escape;
    });
    const uint64_t cost = warp.exclusive_sum(costs);
    uint64_t escape_bytes = 0;
    if (warp.ballot([&](int lane) { return bytes[lane] != 0; }) != 0)
      escape_bytes = warp.exclusive_sum(bytes);
    warp.each([&](int lane) {
      if (lane != 0) return;
      atomic_add(&job.totals->cost, cost);
      if (escape_bytes != 0) atomic_add(&job.totals->escape_bytes[plane], escape_bytes);
    });
  }
};

// A substream, from its last symbol to its first.
struct EncodeSubstream {
  SubstreamJob job;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t index) const {
    const Shape shape = job.shape;
    const int substreams = job.layout.substreams(), lanes = job.layout.lanes();
    const int s = static_cast<int>(index), planes = planes_of_substream(shape.planes, substreams, s);
    uint16_t* end =
        job.words + (planes_before_substream(shape.planes, substreams, s) + planes) * shape.plane_size();
    uint16_t* word = end;
    Each<uint32_t> states;
    warp.each([&](int lane) { states[lane] = rans::kLowerBound; });

    Batch batch{s + (planes - 1) * substreams, step_count(shape), 0};
    bool more = step_back(batch);
    Each<rans::Prepared> ahead = load(warp, batch);
    while (more) {
      const Batch current = batch;
      const Each<rans::Prepared> symbols = ahead;
      more = step_back(batch);
      if (more) ahead = load(warp, batch);
      const int rows = rows_in_step(shape, current.step) - current.row;
      const int count = rows < kWarpLanes ? rows : kWarpLanes;
      for (int begin = (count - 1) / lanes * lanes; begin >= 0; begin -= lanes) {
        const Each<rans::Prepared> round = shuffle(warp, symbols, begin);
        const int n = count - begin < lanes ? count - begin : lanes;
        rans::encode_round(warp, n, round, kPrecision, states, word);
      }
    }
    SubstreamResult& result = job.results[index];
    warp.each([&](int lane) {
      result.states[lane] = states[lane];
      if (lane == 0) result.words = static_cast<uint64_t>(end - word);
    });
  }

 private:
  // Up to 32 rows of a step, from `row` on; since lanes are a power of two up to 32, a batch begins on lane
  // 0.
  struct Batch {
    int plane, step, row;
  };

  // To the batch before; false at the substream's beginning.
  PYCODEC_KERNEL bool step_back(Batch& batch) const {
    if (batch.row > 0) {
      batch.row -= kWarpLanes;
      return true;
    }
    do {
      if (batch.step == 0) {
        batch.plane -= job.layout.substreams();
        batch.step = step_count(job.shape);
        if (batch.plane < 0) return false;
      }
      --batch.step;
    } while (rows_in_step(job.shape, batch.step) == 0);
    batch.row = (rows_in_step(job.shape, batch.step) - 1) / kWarpLanes * kWarpLanes;
    return true;
  }

  PYCODEC_KERNEL Each<rans::Prepared> load(const Warp& warp, const Batch& batch) const {
    const size_t first =
        batch.plane * job.shape.plane_size() + symbols_before_step(job.shape, batch.step) + batch.row;
    const int rows = rows_in_step(job.shape, batch.step) - batch.row;
    Each<rans::Prepared> symbols;
    warp.each([&](int lane) { symbols[lane] = job.coded[first + (lane < rows ? lane : 0)]; });
    return symbols;
  }

  // Lane l gets the symbol of lane begin + l.
  PYCODEC_KERNEL static Each<rans::Prepared> shuffle(const Warp& warp, const Each<rans::Prepared>& symbols,
                                                     int begin) {
    Each<uint32_t> packed, reciprocals;
    warp.each([&](int lane) {
      packed[lane] = symbols[lane].packed;
      reciprocals[lane] = symbols[lane].reciprocal;
    });
    const auto source = [begin](int lane) { return begin + lane; };
    packed = warp.shuffle(packed, source);
    reciprocals = warp.shuffle(reciprocals, source);
    Each<rans::Prepared> shuffled;
    warp.each([&](int lane) { shuffled[lane] = {packed[lane], reciprocals[lane]}; });
    return shuffled;
  }
};

// The escapes of a plane, in coding order.
struct PutEscapes {
  EscapeJob job;

  PYCODEC_KERNEL void operator()(const Warp& warp, uint64_t plane) const {
    const size_t size = job.shape.plane_size();
    const uint32_t* escapes = job.escapes + plane * size;
    uint8_t* out = job.out + job.offsets[plane];
    for (size_t at = 0; at < size; at += kWarpLanes) {
      Each<uint32_t> numbers, offsets;
      warp.each([&](int lane) {
        numbers[lane] = at + lane < size ? escapes[at + lane] : kNoEscape;
        offsets[lane] = numbers[lane] == kNoEscape ? 0 : static_cast<uint32_t>(varint_bytes(numbers[lane]));
      });
      if (warp.ballot([&](int lane) { return numbers[lane] != kNoEscape; }) == 0) continue;
      const uint32_t all = warp.exclusive_sum(offsets);
      warp.each([&](int lane) {
        if (numbers[lane] != kNoEscape) store_varint(out + offsets[lane], numbers[lane]);
      });
      out += all;
    }
  }
};

}  // namespace pycodec::context
