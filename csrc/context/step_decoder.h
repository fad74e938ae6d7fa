// Reads the symbols of a step from a substream, given their tables.
#pragma once

#include "context/spec.h"
#include "context/substream.h"

namespace pycodec::context {

class StepDecoder {
 public:
  // `stride`: between two outputs of the tables; `distance`: between two symbols of a step in the volume.
  StepDecoder(const Model& model, size_t stride, ptrdiff_t distance, int lanes)
      : model_(model), tables_(logistic_tables(model)), stride_(stride), distance_(distance), lanes_(lanes) {}

  // Symbols to out[i * distance], their input codes to codes[i]. Throws CorruptStream.
  void operator()(const int32_t* values, int count, SubstreamReader& in, int32_t* out, uint8_t* codes) const {
    const bool categorical = model_.head == Head::kCategorical;
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

  // All classes are compared: where they are about as likely, that is quicker than guessing when to stop.
  int32_t categorical(const int32_t* frequencies, uint32_t& x, SubstreamReader::Cursor& cursor,
                      SubstreamReader& in) const {
    const uint32_t target = x & (kTotal - 1);
    uint32_t start = 0, end = 0;
    int32_t y = 0;
    for (int o = 0; o + 1 < model_.outputs; ++o) {
      end += frequencies[o * stride_];
      const bool beyond = target >= end;
      y += beyond;
      start = beyond ? end : start;
    }
    const auto frequency = static_cast<uint16_t>(frequencies[y * stride_]);
    cursor.advance(x, {static_cast<uint16_t>(start), frequency}, in);
    return y;
  }

  int32_t parametric(const int32_t* values, uint32_t& x, SubstreamReader::Cursor& cursor,
                     SubstreamReader& in) const {
    const Logistic table(tables_, values[0], values[stride_]);
    const uint32_t target = x & (kTotal - 1);
    if (target < table.starts[1]) {  // by far the most frequent
      cursor.advance(x, {0, table.starts[1]}, in);
      return table.base;
    }
    int index = 1;
    while (target >= table.starts[index + 1]) ++index;  // ends: the last start is 2^14
    cursor.advance(x, table.interval(index), in);
    if (index < table.escape_class()) return table.symbol_of_class(index);
    const int32_t y = table.symbol_of_escape(in.escape());
    if (!is_symbol(y)) in.fail("holds a symbol out of range");
    return y;
  }

  const Model& model_;
  const LogisticTables tables_;
  const size_t stride_;
  const ptrdiff_t distance_;
  const int lanes_;
};

}  // namespace pycodec::context
