// The decoder's kernel: a block decodes a plane at a time, step by step, all layers of a step one after the
// other and then its symbols. Planes are taken in rising order from a counter, so that whatever a block waits
// for, the plane before its own or the one before that in its substream, is done or at work in another block:
// however few blocks a GPU runs at once, the lowest plane at work waits for nobody.
//
// Of the taps of layers 1 to 3 all but the centre lie at earlier steps, and so does what layer 0 sees of
// earlier planes. Their sums for the next step are made by the other warps while the first one decodes this
// step's symbols, one after the other as rANS must.
//
// What is wrong with the data is noted, and decoding goes on with symbols in range, so that no block waits in
// vain; the host looks at the notes afterwards.
#pragma once

#include "base/block.h"
#include "base/bytes.h"
#include "base/word_window.h"
#include "context/device.h"
#include "context/near_memory.h"
#include "context/tensor_core_layers.h"
#include "rans/step.h"

namespace pycodec::context {

template <class Block>
class PlaneDecoder {
 public:
  PYCODEC_KERNEL PlaneDecoder(const Block& block, const DecodeJob& job, const DeviceModel& model,
                              const NearLayout& layout, const Right* weights, Sums<int32_t>* partials,
                              uint8_t* memory, int plane)
      : block_(block),
        job_(job),
        model_(model),
        layout_(layout),
        weights_(weights),
        partials_(partials),
        taps_(reinterpret_cast<TapRow*>(memory + layout.taps)),
        hidden_(reinterpret_cast<uint32_t*>(memory + layout.hidden)),
        outputs_(reinterpret_cast<int32_t*>(memory + layout.outputs)),
        escapes_(reinterpret_cast<uint32_t*>(memory + layout.escapes)),
        starts_(reinterpret_cast<uint16_t*>(memory + layout.starts)),
        classes_(reinterpret_cast<uint16_t*>(memory + layout.classes)),
        codes_(memory + layout.codes),
        plane_(plane),
        steps_(step_count(job.shape)) {}

  PYCODEC_KERNEL void run() {
    const int substreams = job_.layout.substreams();
    if (plane_ >= substreams) block_.wait(job_.progress + plane_ - substreams, steps_);
    Reader reader;
    block_.in_first_warp([&](const Warp& warp) { open(warp, reader); });
    for (int t = 0; t < kPlaneLag; ++t) import_step(t, 0);
    find_taps(0);
    block_.sync();
    add_earlier(0, 0);
    for (int t = 0; t < steps_; ++t) {
      const int rows = rows_in_step(job_.shape, t);
      first_layer(t, rows);
      find_taps(t + 1);
      block_.sync();
      hidden_layer(1, t, rows);
      block_.sync();
      hidden_layer(2, t, rows);
      block_.sync();
      last_layer(t, rows);
      block_.sync();
      make_tables(rows);
      block_.sync();
      block_.in_first_warp([&](const Warp& warp) {
        read_symbols(warp, reader, rows);
        if (t + 1 == steps_) close(warp, reader);
      });
      export_step(t, rows);
      import_step(t + kPlaneLag, 1);
      block_.sync_others();
      if (t + 1 < steps_) add_earlier(t + 1, 1);
      block_.sync();
      store_symbols(t, rows);
      block_.sync();
      block_.publish(job_.progress + plane_, t + 1);
    }
  }

 private:
  // --- Activations ---

  PYCODEC_KERNEL uint32_t* hidden(int layer, int slot, int group) const {
    return hidden_ + ((layer * kSlots + slot) * layout_.groups + group) * layout_.stride;
  }

  // Where the taps of a step look; their inputs need not be there yet.
  PYCODEC_KERNEL void find_taps(int step) const {
    block_.for_each(14, [&](size_t tap) {
      const Tap offset = tap_offset(static_cast<int>(tap));
      const int u = step + 2 * offset.h + offset.w;
      const bool exists = u >= 0 && u < steps_ && plane_ + offset.d >= 0;
      TapRow& at = taps_[step % 2 * 14 + tap];
      at.slot = !exists ? 0 : offset.d < 0 ? previous_slot(u) : own_slot(u);
      at.shift = exists ? first_row(job_.shape, step) + offset.h - first_row(job_.shape, u) : 0;
      at.count = exists ? rows_in_step(job_.shape, u) : 0;
    });
  }
  PYCODEC_KERNEL const TapRow* taps(int step) const { return taps_ + step % 2 * 14; }

  // Step t of the plane before, once that has it, from the memory that all blocks see.
  PYCODEC_KERNEL void import_step(int t, int first_warp) const {
    if (plane_ == 0 || t >= steps_) return;
    if (first_warp == 0 || !block_.is_first_warp()) block_.wait(job_.progress + plane_ - 1, t + 1);
    const int rows = rows_in_step(job_.shape, t), slot = previous_slot(t);
    const size_t from = exchange(plane_ - 1, t);
    const uint8_t* codes = job_.codes + in_coding_order(plane_ - 1, t);
    block_.for_each(
        rows, [&](size_t i) { codes_[slot * layout_.stride + i] = load_from_other_block(codes + i); },
        first_warp);
    each_group(
        rows,
        [&](int layer, size_t i, int group) {
          const size_t at = (layer * exchange_size() + from + i) * layout_.groups + group;
          hidden(layer, slot, group)[i] = load_from_other_block(job_.exchanged + at);
        },
        first_warp);
  }

  // Step t of this plane for the next one; store_symbols does it for the codes.
  PYCODEC_KERNEL void export_step(int t, int rows) const {
    const size_t to = exchange(plane_, t);
    each_group(
        rows,
        [&](int layer, size_t i, int group) {
          job_.exchanged[(layer * exchange_size() + to + i) * layout_.groups + group] =
              hidden(layer, own_slot(t), group)[i];
        },
        1);
  }

  // f(layer, row, group) for all hidden activations of so many rows.
  template <class F>
  PYCODEC_KERNEL void each_group(int rows, F f, int first_warp) const {
    const uint32_t groups = layout_.groups, row_groups = rows * groups;
    block_.for_each(
        3 * row_groups,
        [&](size_t index) {
          const uint32_t rest = static_cast<uint32_t>(index) % row_groups;
          f(static_cast<int>(index / row_groups), rest / groups, static_cast<int>(rest % groups));
        },
        first_warp);
  }

  // Positions of all slots of exchanged memory, and of a step's first symbol there. A slot is free again when
  // the plane after its last one is done; there is one more than planes can be at work.
  PYCODEC_KERNEL size_t exchange_size() const {
    return (job_.layout.substreams() + 1) * job_.shape.plane_size();
  }
  PYCODEC_KERNEL size_t exchange(int plane, int t) const {
    return in_coding_order(plane % (job_.layout.substreams() + 1), t);
  }
  // Index of a step's first symbol among those of the volume in coding order.
  PYCODEC_KERNEL size_t in_coding_order(int plane, int t) const {
    return plane * job_.shape.plane_size() + symbols_before_step(job_.shape, t);
  }

  // --- The network ---

  // Codes of channels channel .. channel + 3 that a tap of a layer sees from a row.
  PYCODEC_KERNEL uint32_t input(int layer, const TapRow& tap, int row, int channel) const {
    const uint32_t i = static_cast<uint32_t>(row + tap.shift);
    return i < static_cast<uint32_t>(tap.count) ? hidden(layer - 1, tap.slot, channel / 4)[i]
                                                : model_.constants[layer] * 0x01010101u;
  }

  PYCODEC_KERNEL Sums<int32_t>* partial(int layer, int row_tile, int tile) const {
    return partials_ + layout_.first_partial[layer] +
           (static_cast<size_t>(row_tile) * model_.layers[layer].tiles + tile) * kWarpLanes;
  }

  // f(warp, row tile, output tile) for a layer of a step.
  template <class F>
  PYCODEC_KERNEL void each_tile(int rows, int tiles, F f) const {
    const int row_tiles = (rows + kTileRows - 1) / kTileRows;
    block_.for_each_warp(row_tiles * tiles, [&](const Warp& warp, int i) { f(warp, i / tiles, i % tiles); });
  }

  // Sums of what lies at earlier steps.
  PYCODEC_KERNEL void add_earlier(int step, int first_warp) const {
    const int row_tiles = (rows_in_step(job_.shape, step) + kTileRows - 1) / kTileRows;
    const auto blocks_of = [&](int layer) { return (model_.layers[layer].tiles + 3) / 4; };
    const int blocks = blocks_of(0) + blocks_of(1) + blocks_of(2) + blocks_of(3);
    block_.for_each_warp(
        row_tiles * blocks,
        [&](const Warp& warp, int i) {
          int block = i % blocks, layer = 0;
          for (; block >= blocks_of(layer); ++layer) block -= blocks_of(layer);
          const int tiles = model_.layers[layer].tiles - 4 * block;
          if (tiles == 1) {
            add_earlier<1>(warp, layer, step, i / blocks, 4 * block);
          } else if (tiles == 2) {
            add_earlier<2>(warp, layer, step, i / blocks, 4 * block);
          } else if (tiles == 3) {
            add_earlier<3>(warp, layer, step, i / blocks, 4 * block);
          } else {
            add_earlier<4>(warp, layer, step, i / blocks, 4 * block);
          }
        },
        first_warp);
  }
  template <int N>
  PYCODEC_KERNEL void add_earlier(const Warp& warp, int layer, int step, int row_tile, int tile) const {
    const int32_t* bias = layer == 0   ? job_.biases.bias0 + static_cast<size_t>(plane_) * model_.width
                          : layer == 1 ? model_.bias1
                          : layer == 2 ? model_.bias2
                                       : job_.biases.bias3 + static_cast<size_t>(plane_) * model_.outputs;
    const int first = row_tile * kTileRows;
    Each<Sums<int32_t>> sums[N];
    start_sums(warp, bias, model_.layers[layer].outputs, tile, sums);
    if (layer > 0) {
      const TapRow* at = taps(step);
      const auto see = [&](int tap, int row, int channel) {
        return input(layer, at[tap], first + row, channel);
      };
      add_taps(warp, model_.layers[layer], weights_, 0, 13, tile, see, sums);
    } else if (model_.planes > 0) {
      const int rows = rows_in_step(job_.shape, step);
      const uint8_t* codes = job_.codes + symbols_before_step(job_.shape, step);
      const auto code = [&](int plane, int row) -> uint8_t {
        if (first + row >= rows) return model_.constants[0];
        return load_from_other_block(codes + plane * job_.shape.plane_size() + first + row);
      };
      add_earlier_planes(warp, model_, plane_, tile, code, sums);
    }
    for (int i = 0; i < N; ++i) {
      Sums<int32_t>* out = partial(layer, row_tile, tile + i);
      warp.each([&](int lane) { out[lane] = sums[i][lane]; });
    }
  }

  PYCODEC_KERNEL void restore_sums(const Warp& warp, int layer, int row_tile, int tile,
                                   Each<Sums<int32_t>> (&sums)[1]) const {
    const Sums<int32_t>* earlier = partial(layer, row_tile, tile);
    warp.each([&](int lane) { sums[0][lane] = earlier[lane]; });
  }

  PYCODEC_KERNEL void first_layer(int t, int rows) const {
    const LayerView& layer = model_.layers[0];
    each_tile(rows, layer.tiles, [&](const Warp& warp, int row_tile, int tile) {
      Each<Sums<int32_t>> sums[1];
      restore_sums(warp, 0, row_tile, tile, sums);
      const TapRow* at = taps(t);
      const auto code = [&](int tap, int row) -> uint8_t {
        const uint32_t i = static_cast<uint32_t>(row_tile * kTileRows + row + at[tap].shift);
        return i < static_cast<uint32_t>(at[tap].count) ? codes_[at[tap].slot * layout_.stride + i]
                                                        : model_.constants[0];
      };
      add_first_layer(warp, layer, weights_, tile, code, sums);
      store(warp, 0, t, rows, row_tile, tile, sums);
    });
  }

  // Layers 1 and 2: the centre tap, and what becomes of the sums.
  PYCODEC_KERNEL void hidden_layer(int index, int t, int rows) const {
    each_tile(rows, model_.layers[index].tiles, [&](const Warp& warp, int row_tile, int tile) {
      Each<Sums<int32_t>> sums[1];
      add_centre(warp, index, t, row_tile, tile, sums);
      store(warp, index, t, rows, row_tile, tile, sums);
    });
  }

  PYCODEC_KERNEL void last_layer(int t, int rows) const {
    each_tile(rows, model_.layers[3].tiles, [&](const Warp& warp, int row_tile, int tile) {
      Each<Sums<int32_t>> sums[1];
      add_centre(warp, 3, t, row_tile, tile, sums);
      const auto store = [&](int row, int o, int32_t value) {
        const int i = row_tile * kTileRows + row;
        if (i < rows) outputs_[o * layout_.stride + i] = value;
      };
      store_outputs(warp, model_.layers[3], tile, store, sums);
    });
  }

  PYCODEC_KERNEL void add_centre(const Warp& warp, int layer, int t, int row_tile, int tile,
                                 Each<Sums<int32_t>> (&sums)[1]) const {
    restore_sums(warp, layer, row_tile, tile, sums);
    const TapRow& centre = taps(t)[13];
    const auto see = [&](int, int row, int channel) {
      return input(layer, centre, row_tile * kTileRows + row, channel);
    };
    add_taps(warp, model_.layers[layer], weights_, 13, 14, tile, see, sums);
  }

  PYCODEC_KERNEL void store(const Warp& warp, int layer, int t, int rows, int row_tile, int tile,
                            const Each<Sums<int32_t>> (&sums)[1]) const {
    const int slot = own_slot(t), first = row_tile * kTileRows;
    const auto pair = [&](int to, int row, int channel) {
      return reinterpret_cast<uint8_t*>(hidden(to, slot, channel / 4) + first + row) + channel % 4;
    };
    const auto skip = [&](int row, int channel) -> uint32_t {
      return first + row < rows ? load_as<uint16_t>(pair(0, row, channel)) : 0;
    };
    const auto put = [&](int row, int channel, uint16_t codes) {
      if (first + row < rows) store_as(pair(layer, row, channel), codes);
    };
    store_codes(warp, model_.layers[layer], tile, layer == 2 ? model_.residual : nullptr, skip, put, sums);
  }

  // --- Tables ---

  PYCODEC_KERNEL Logistic logistic(int row) const {
    return {model_.logistic, clamped_location(outputs_[row]), clamped_scale(outputs_[layout_.stride + row])};
  }

  // Boundaries of the first classes of every symbol's table; those beyond the last class are 2^14.
  PYCODEC_KERNEL void make_tables(int rows) const {
    if (model_.categorical) {
      block_.for_each(rows, [&](size_t i) {
        int32_t* values = outputs_ + i;
        const size_t stride = layout_.stride;
        categorical_frequencies(model_.exp_table, model_.outputs, values, values, stride);
        uint32_t start = 0;
        for (int c = 0; c < kNearStarts; ++c) {
          starts_[i * (kNearStarts + 1) + c] = static_cast<uint16_t>(start);
          if (c < model_.outputs) start += values[c * stride];
        }
      });
      return;
    }
    block_.for_each_warp(rows, [&](const Warp& warp, int i) {
      const Logistic table = logistic(i);
      uint16_t* near = starts_ + i * (kNearStarts + 1);
      warp.each([&](int lane) {
        for (int c = lane; c < kNearStarts; c += kWarpLanes) near[c] = parametric_start(table, c);
      });
    });
  }
  PYCODEC_KERNEL static uint16_t parametric_start(const Logistic& table, int cls) {
    return table.starts[cls <= table.escape_class() ? cls : table.escape_class() + 1];
  }
  PYCODEC_KERNEL uint32_t start_of(int row, int cls) const {
    if (cls < kNearStarts) return starts_[row * (kNearStarts + 1) + cls];
    return model_.categorical ? kTotal : parametric_start(logistic(row), cls);
  }

  // --- The substream; all of it is the first warp's ---

  struct Reader {
    Each<uint32_t> states;
    WordWindow words;
    uint32_t escape_byte = 0;
    PlaneFault fault = PlaneFault::kNone;
  };

  PYCODEC_KERNEL SubstreamRecord substream() const {
    return job_.substreams[plane_ % job_.layout.substreams()];
  }
  PYCODEC_KERNEL Carry& carry() const { return job_.carries[plane_ % job_.layout.substreams()]; }

  // The first fault counts.
  PYCODEC_KERNEL static void note(Reader& reader, PlaneFault fault) {
    if (reader.fault == PlaneFault::kNone) reader.fault = fault;
  }

  PYCODEC_KERNEL void open(const Warp& warp, Reader& reader) const {
    const SubstreamRecord s = substream();
    const int lanes = job_.layout.lanes(), width = kWarpLanes / lanes;
    const bool begins = plane_ < job_.layout.substreams();
    warp.each([&](int lane) {
      reader.states[lane] = begins ? load_u32(job_.data + s.states_at + 4 * (lane / width))
                                   : load_from_other_block(carry().states + lane);
    });
    if (warp.ballot([&](int lane) { return begins && reader.states[lane] < rans::kLowerBound; }) != 0) {
      note(reader, PlaneFault::kBadState);
    }
    reader.words.open(warp, job_.data + s.words_at, s.words,
                      begins ? 0 : load_from_other_block(&carry().words));
    reader.escape_byte = begins ? 0 : load_from_other_block(&carry().escape_bytes);
  }

  // After the plane's last symbol: the state for the substream's next plane, or the checks of its end.
  PYCODEC_KERNEL void close(const Warp& warp, Reader& reader) const {
    const SubstreamRecord s = substream();
    if (plane_ + job_.layout.substreams() >= job_.shape.planes) {
      const uint32_t odd = warp.ballot([&](int lane) { return reader.states[lane] != rans::kLowerBound; });
      if (odd != 0) note(reader, PlaneFault::kEndState);
      if (reader.words.left() != 0 || reader.escape_byte != s.escape_bytes) note(reader, PlaneFault::kMore);
    }
    warp.each([&](int lane) {
      carry().states[lane] = reader.states[lane];
      if (lane != 0) return;
      carry().words = reader.words.position();
      carry().escape_bytes = reader.escape_byte;
      job_.faults[plane_] = reader.fault;
    });
  }

  PYCODEC_KERNEL void read_symbols(const Warp& warp, Reader& reader, int rows) const {
    if (job_.layout.log_lanes == 0) {
      read_classes<true>(warp, reader, rows);
    } else {
      read_classes<false>(warp, reader, rows);
    }
    warp.sync();
    if (!model_.categorical) read_escapes(warp, reader, rows);
  }

  // The class of every row's symbol. Each of the coder's lanes has 32 / lanes of the warp's, which hold its
  // state together and compare it with as many classes at once.
  template <bool kOneLane>
  PYCODEC_KERNEL void read_classes(const Warp& warp, Reader& reader, int rows) const {
    const int lanes = kOneLane ? 1 : job_.layout.lanes(), width = kWarpLanes / lanes;
    const auto first_lane = [width](int lane) { return lane & -width; };
    Each<uint32_t> next_starts = near_starts(warp, 0, 0, rows, width),
                   next_ends = near_starts(warp, 0, 1, rows, width);
    for (int begin = 0; begin < rows; begin += lanes) {
      Each<uint32_t> starts = next_starts, ends = next_ends;
      next_starts = near_starts(warp, begin + lanes, 0, rows, width);
      next_ends = near_starts(warp, begin + lanes, 1, rows, width);
      Each<uint32_t> word;
      if (kOneLane) word = reader.words.peek(warp, [](int) { return 0; });
      const auto has_row = [&](int lane) { return begin + lane / width < rows; };

      Each<uint32_t> states = reader.states, classes;
      uint32_t open = warp.ballot([&](int lane) { return has_row(lane) && lane % width == 0; });
      for (int passed = 0; open != 0; passed += width) {
        if (passed > 0) {
          warp.each([&](int lane) {
            const int row = has_row(lane) ? begin + lane / width : 0, cls = passed + lane % width;
            starts[lane] = start_of(row, cls);
            ends[lane] = start_of(row, cls + 1);
          });
        }
        Each<uint32_t> candidates;
        warp.each([&](int lane) {
          const uint32_t packed = rans::pack_class(starts[lane], ends[lane] - starts[lane]);
          candidates[lane] = rans::step_decode(reader.states[lane], packed, kPrecision);
        });
        const uint32_t hits = warp.ballot([&](int lane) {
          const uint32_t target = reader.states[lane] & (kTotal - 1);
          return has_row(lane) && target >= starts[lane] && target < ends[lane];
        });
        // At most one of a lane's own.
        const auto hit = [&](int lane) {
          const uint32_t own = hits >> first_lane(lane) & (lanes_below(width - 1) << 1 | 1);
          return own == 0 ? -1 : lowest_lane(own);
        };
        const Each<uint32_t> found = warp.shuffle(
            candidates, [&](int lane) { return first_lane(lane) + (hit(lane) >= 0 ? hit(lane) : 0); });
        warp.each([&](int lane) {
          if (hit(lane) < 0) return;
          states[lane] = found[lane];
          classes[lane] = static_cast<uint32_t>(passed + hit(lane));
        });
        open &= ~warp.ballot([&](int lane) { return lane % width == 0 && hit(lane) >= 0; });
      }

      const uint32_t refill = warp.ballot(
          [&](int lane) { return has_row(lane) && lane % width == 0 && states[lane] < rans::kLowerBound; });
      const uint32_t needed = lane_count(refill);
      if (!kOneLane) {
        word = reader.words.peek(
            warp, [&](int lane) { return lane_count(refill & lanes_below(first_lane(lane))); });
      }
      if (needed > reader.words.left()) note(reader, PlaneFault::kWordsEnd);
      warp.each([&](int lane) {
        if (!has_row(lane)) return;
        const uint32_t x = states[lane];
        reader.states[lane] = x < rans::kLowerBound ? x << 16 | word[lane] : x;
        if (lane % width == 0) classes_[begin + lane / width] = static_cast<uint16_t>(classes[lane]);
      });
      reader.words.skip(warp, needed);
    }
  }
  // What the warp's lanes compare first, for the rows from `begin` on.
  PYCODEC_KERNEL Each<uint32_t> near_starts(const Warp& warp, int begin, int next, int rows,
                                            int width) const {
    Each<uint32_t> starts;
    warp.each([&](int lane) {
      const int row = begin + lane / width;
      starts[lane] = row < rows ? starts_[row * (kNearStarts + 1) + lane % width + next] : 0;
    });
    return starts;
  }

  // Numbers of the side list for the rows whose class is the escape; 0 from the first fault on.
  PYCODEC_KERNEL void read_escapes(const Warp& warp, Reader& reader, int rows) const {
    const SubstreamRecord s = substream();
    warp.each([&](int lane) {
      for (int i = lane; i < rows; i += kWarpLanes) escapes_[i] = 0;
    });
    warp.sync();
    for (int begin = 0; begin < rows; begin += kWarpLanes) {
      uint32_t escaped = warp.ballot([&](int lane) {
        const int i = begin + lane;
        return i < rows && classes_[i] == logistic(i).escape_class();
      });
      for (; escaped != 0 && reader.fault == PlaneFault::kNone; escaped &= escaped - 1) {
        const int i = begin + lowest_lane(escaped);
        const Varint v =
            read_varint(job_.data + s.escapes_at + reader.escape_byte, s.escape_bytes - reader.escape_byte);
        reader.escape_byte += static_cast<uint32_t>(v.bytes);
        const uint32_t number = static_cast<uint32_t>(v.value);
        if (v.fault != Varint::kNone) {
          note(reader, PlaneFault::kEscapesDamaged);
        } else if (v.value >= kMaxEscape) {
          note(reader, PlaneFault::kEscapeRange);
        } else if (!is_symbol(logistic(i).symbol_of_escape(number))) {
          note(reader, PlaneFault::kSymbolRange);
        } else {
          warp.each([&](int lane) {
            if (lane == 0) escapes_[i] = number;
          });
        }
      }
    }
  }

  // Symbols and input codes of a step, from the classes.
  PYCODEC_KERNEL void store_symbols(int t, int rows) const {
    const Step step(job_.shape, plane_, t);
    uint8_t* codes = job_.codes + in_coding_order(plane_, t);
    block_.for_each(rows, [&](size_t i) {
      int32_t y = classes_[i];
      if (!model_.categorical) {
        const Logistic table = logistic(static_cast<int>(i));
        y = y < table.escape_class() ? table.symbol_of_class(y) : table.symbol_of_escape(escapes_[i]);
      }
      const uint8_t code = model_.input_code(y);
      job_.symbols[step.at(static_cast<int>(i))] = y;
      codes_[own_slot(t) * layout_.stride + i] = code;
      codes[i] = code;
    });
  }

  const Block& block_;
  const DecodeJob& job_;
  const DeviceModel& model_;
  const NearLayout& layout_;
  const Right* weights_;
  Sums<int32_t>* partials_;
  TapRow* taps_;
  uint32_t* hidden_;
  int32_t* outputs_;
  uint32_t* escapes_;
  uint16_t* starts_;
  uint16_t* classes_;
  uint8_t* codes_;
  int plane_, steps_;
};

// A block that decodes planes for as long as there are any. Its memory holds the layout's bytes, but for the
// partial sums if those lie elsewhere, and behind them the weights where they fit too.
struct DecodePlanes {
  DecodeJob job;
  DeviceModel model;
  NearLayout layout;
  Placement placement;

  template <class Block>
  PYCODEC_KERNEL void operator()(const Block& block, uint8_t* memory, Sums<int32_t>* partials) const {
    const Right* weights = model.weights;
    if (placement == Placement::kWithWeights) {
      Right* near = reinterpret_cast<Right*>(memory + layout.bytes);
      block.for_each(model.weight_bytes / sizeof(Right), [&](size_t i) { near[i] = model.weights[i]; });
      weights = near;
    }
    uint32_t& plane = *reinterpret_cast<uint32_t*>(memory + layout.plane);
    for (;;) {
      block.once([&] { plane = atomic_add(job.next_plane, 1); });
      block.sync();
      const int mine = static_cast<int>(plane);  // it is written again after many a sync
      if (mine >= job.shape.planes) return;
      PlaneDecoder<Block>(block, job, model, layout, weights, partials, memory, mine).run();
    }
  }
};

}  // namespace pycodec::context
