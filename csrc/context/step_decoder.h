// Reads the symbols of a step from a substream, given their tables.
#pragma once

#include <algorithm>

#include "context/spec.h"
#include "context/substream.h"

namespace pycodec::context {

class StepDecoder {
 public:
  // `stride`: between two outputs of the tables; `distance`: between two symbols of a step in the volume.
  StepDecoder(const Model& model, size_t stride, ptrdiff_t distance, int lanes)
      : model_(model), tables_(logistic_tables(model)), stride_(stride), distance_(distance), lanes_(lanes) {}

  // Symbols to out[i * distance], their input codes to codes[i]. Throws CorruptStream.
  void operator()(int32_t* values, int count, SubstreamReader& in, int32_t* out, uint8_t* codes) const {
    const bool categorical = model_.head == Head::kCategorical;
    if (categorical) frequencies_to_starts(values, stride_, model_.outputs, count);
    if (lanes_ == 1) {
      categorical ? run<Head::kCategorical, true>(values, count, in, out, codes)
                  : run<Head::kParametric, true>(values, count, in, out, codes);
    } else {
      categorical ? run<Head::kCategorical, false>(values, count, in, out, codes)
                  : run<Head::kParametric, false>(values, count, in, out, codes);
    }
  }

 private:
  // The reader is a copy, so that its state can stay in registers, above all that of a single lane.
  template <Head kHead, bool kSingle>
  void run(const int32_t* values, int count, SubstreamReader& in, int32_t* out, uint8_t* codes) const {
    SubstreamReader::Cursor cursor = in.cursor();
    const int lane_mask = lanes_ - 1;
    for (int i = 0; i < count; ++i) {
      uint32_t& x = cursor.states[kSingle ? 0 : i & lane_mask];
      const int32_t y = kHead == Head::kCategorical ? categorical(values + i, x, cursor, in)
                                                    : parametric(values + i, x, cursor, in);
      out[i * distance_] = y;
      codes[i] = model_.input_map[kHead == Head::kCategorical ? y : parametric_entry(y)];
    }
    in.set_cursor(cursor);
  }

  // All classes are compared: where several are likely, that is quicker than guessing when to stop.
  int32_t categorical(const int32_t* starts, uint32_t& x, SubstreamReader::Cursor& cursor,
                      SubstreamReader& in) const {
    const auto target = static_cast<int32_t>(x & (kTotal - 1));
    int32_t y = 0;
    for (int o = 1; o < model_.outputs; ++o) y += target >= starts[o * stride_];
    cursor.advance(x, categorical_interval(starts, stride_, y), in);
    return y;
  }

  int32_t parametric(const int32_t* values, uint32_t& x, SubstreamReader::Cursor& cursor,
                     SubstreamReader& in) const {
    const Logistic table(tables_, values[0], values[stride_]);
    const uint32_t target = x & (kTotal - 1);
    // The most likely class is guessed where it is worth it, others are looked for.
    if (table.starts[1] > kTotal / 2 && target < table.starts[1]) {
      cursor.advance(x, {0, table.starts[1]}, in);
      return table.base;
    }
    const int index = class_at(table.starts, target);
    cursor.advance(x, table.interval(index), in);
    if (index < table.escape_class()) return table.symbol_of_class(index);
    const int32_t y = table.symbol_of_escape(in.escape());
    if (!is_symbol(y)) in.fail("holds a symbol out of range");
    return y;
  }

  // The class whose interval holds `target`. Compilers make a few vector instructions of the inner loop.
  static int class_at(const uint16_t* starts, uint32_t target) {
    int index = 0;
    int8_t below;
    do {
      below = 0;
      for (int i = 1; i <= kStartsPadding; ++i) {
        below += static_cast<int16_t>(starts[index + i]) <= static_cast<int16_t>(target);
      }
      index += below;
    } while (below == kStartsPadding);
    return index;
  }

  const Model& model_;
  const LogisticTables tables_;
  const size_t stride_;
  const ptrdiff_t distance_;
  const int lanes_;
};

}  // namespace pycodec::context
