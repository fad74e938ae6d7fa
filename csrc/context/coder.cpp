// encode, decode and tables: one image's symbols through the network and the range coder.
#include <chrono>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "context/context.h"
#include "context/evaluator.h"
#include "context/planes.h"
#include "context/substream.h"

namespace pycodec::context {
namespace {

void check(const Model& model, const Biases& biases, Shape s, size_t symbols, Options options) {
  if (s.planes < 0 || s.planes > kMaxPlanes || s.height < 0 || s.height > kMaxSide || s.width < 0 ||
      s.width > kMaxSide) {
    throw InvalidArgument("a volume of " + std::to_string(s.planes) + " x " + std::to_string(s.height) +
                          " x " + std::to_string(s.width) +
                          " symbols; at most 256 x 32768 x 32768 can be coded");
  }
  if (symbols != s.size()) throw InvalidArgument("the symbols do not fill the volume");
  if (biases.bias0.size() != static_cast<size_t>(s.planes) * model.width ||
      biases.bias3.size() != static_cast<size_t>(s.planes) * model.outputs) {
    throw InvalidArgument("the biases are not those of this volume's planes");
  }
  if (options.threads < 1) throw InvalidArgument("threads must be at least 1");
}

void check_symbols(const Model& model, Span<const int32_t> symbols) {
  const bool categorical = model.head == Head::kCategorical;
  const int32_t low = categorical ? 0 : -kMaxSymbol, high = categorical ? model.outputs - 1 : kMaxSymbol;
  for (int32_t y : symbols) {
    if (y < low || y > high) {
      throw InvalidArgument("symbol " + std::to_string(y) + " is out of range: this model codes " +
                            std::to_string(low) + " to " + std::to_string(high));
    }
  }
}

std::unique_ptr<Evaluator> make_evaluator(const Model& model, const Biases& biases, Shape shape, int threads,
                                          Simd simd) {
#if defined(__x86_64__)
  if (simd >= Simd::kAvx512) return make_avx512(model, biases, shape, threads + 1);
  if (simd >= Simd::kAvx2) return make_avx2(model, biases, shape, threads + 1);
#else
  (void)simd;
#endif
  return make_scalar(model, biases, shape, threads + 1);
}

// What the first pass of the encoder finds out: every symbol's interval in coding order, and every plane's
// escapes.
struct Coded {
  std::vector<Interval> intervals;
  std::vector<ByteWriter> escapes;
};

Coded intervals_of(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
                   Options options) {
  Coded coded{std::vector<Interval>(shape.size()), std::vector<ByteWriter>(shape.planes)};
  std::vector<size_t> next(shape.planes);
  for (int d = 0; d < shape.planes; ++d) next[d] = d * shape.plane_size();
  const int threads = std::min(options.threads, shape.planes);
  const auto evaluator = make_evaluator(model, biases, shape, threads, options.simd);
  const size_t stride = evaluator->stride();
  const LogisticTables logistic = logistic_tables(model);
  run_planes(*evaluator, model, shape, threads, [&](int plane, int t, const int32_t* values, uint8_t* codes) {
    const Step step(shape, plane, t);
    Interval* out = coded.intervals.data() + next[plane];
    next[plane] += step.count;
    for (int i = 0; i < step.count; ++i) {
      const int32_t y = symbols[step.at(i)];
      codes[i] = input_code(model, y);
      if (model.head == Head::kCategorical) {
        out[i] = Categorical{values + i, stride}.interval(y);
        continue;
      }
      const Logistic table(logistic, values[i], values[stride + i]);
      uint32_t escape = 0;
      const int index = table.class_of(y, escape);
      out[i] = table.interval(index);
      if (index == table.escape_class()) coded.escapes[plane].varint(escape);
    }
  });
  return coded;
}

// Bytes that the intervals and escapes need, to within some per cent: enough to choose the layout.
uint64_t payload_bytes(const Coded& coded) {
  uint64_t cost = 0;
  for (Interval s : coded.intervals) cost += interval_cost(s.frequency);
  uint64_t bytes = cost >> 16;
  for (const ByteWriter& escapes : coded.escapes) bytes += escapes.bytes().size();
  return bytes;
}

}  // namespace

std::vector<uint8_t> encode(const Model& model, const Biases& biases, Shape shape,
                            Span<const int32_t> symbols, Options options, double* table_seconds) {
  check(model, biases, shape, symbols.size(), options);
  if (table_seconds != nullptr) *table_seconds = 0;
  if (symbols.empty()) return {};
  check_symbols(model, symbols);
  const auto start = std::chrono::steady_clock::now();
  const Coded coded = intervals_of(model, biases, shape, symbols, options);
  if (table_seconds != nullptr) {
    *table_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  const StreamLayout layout = choose_layout(payload_bytes(coded), shape.planes);
  const int substreams = layout.substreams(), lanes = layout.lanes();

  std::vector<SubstreamWriter> writers(substreams);
  parallel_for(substreams, options.threads, [&](size_t s) {
    const int last = static_cast<int>(s) + (shape.planes - 1 - static_cast<int>(s)) / substreams * substreams;
    for (int plane = last; plane >= 0; plane -= substreams) {
      const Interval* end = coded.intervals.data() + (plane + 1) * shape.plane_size();
      for (int t = step_count(shape) - 1; t >= 0; --t) {
        for (int i = rows_in_step(shape, t) - 1; i >= 0; --i) writers[s].put(*--end, i & (lanes - 1));
      }
    }
  });

  std::vector<SubstreamSizes> sizes;
  for (int s = 0; s < substreams; ++s) {
    uint64_t escape_bytes = 0;
    for (int d = s; d < shape.planes; d += substreams) escape_bytes += coded.escapes[d].bytes().size();
    sizes.push_back({writers[s].words(), escape_bytes});
  }
  ByteWriter out;
  out.append(stream_head(layout, sizes));
  for (int s = 0; s < substreams; ++s) {
    writers[s].append_to(out, lanes);
    for (int d = s; d < shape.planes; d += substreams) out.append(coded.escapes[d].bytes());
  }
  return std::move(out.bytes());
}

void decode(const Model& model, const Biases& biases, Shape shape, Bytes data, Span<int32_t> symbols,
            Options options) {
  check(model, biases, shape, symbols.size(), options);
  if (symbols.empty()) {
    if (!data.empty()) throw CorruptStream("context stream: data for a volume without symbols");
    return;
  }
  StreamLayout layout;
  std::vector<SubstreamReader> readers;
  for (const SubstreamParts& parts : open_stream(shape.planes, data, layout)) {
    readers.emplace_back(static_cast<int>(readers.size()), parts.states, parts.words, parts.escapes);
  }
  const int lane_mask = layout.lanes() - 1;
  const int substreams = static_cast<int>(readers.size());
  // With no more threads than substreams, a substream's planes never overlap (see run_planes).
  const int threads = std::min(options.threads, substreams);
  const auto evaluator = make_evaluator(model, biases, shape, threads, options.simd);
  const size_t stride = evaluator->stride();
  const LogisticTables logistic = logistic_tables(model);
  run_planes(*evaluator, model, shape, threads, [&](int plane, int t, const int32_t* values, uint8_t* codes) {
    const Step step(shape, plane, t);
    SubstreamReader& in = readers[plane % substreams];
    for (int i = 0; i < step.count; ++i) {
      const int lane = i & lane_mask;
      const uint32_t target = in.peek(lane);
      int32_t& y = symbols[step.at(i)];
      if (model.head == Head::kCategorical) {
        const Categorical table{values + i, stride};
        uint32_t start = 0, frequency = table.frequencies[0];
        y = 0;
        while (target >= start + frequency) {
          start += frequency;
          frequency = table.frequencies[++y * stride];
        }
        in.advance({static_cast<uint16_t>(start), static_cast<uint16_t>(frequency)}, lane);
      } else {
        const Logistic table(logistic, values[i], values[stride + i]);
        int index = 0;
        while (target >= table.starts[index + 1]) ++index;  // ends: the last start is 2^14
        in.advance(table.interval(index), lane);
        if (index < table.escape_class()) {
          y = table.symbol_of_class(index);
        } else {
          y = table.symbol_of_escape(in.escape());
          if (!is_symbol(y)) in.fail("holds a symbol out of range");
        }
      }
      codes[i] = input_code(model, y);
    }
  });
  for (const SubstreamReader& in : readers) in.finish();
}

void tables(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
            Span<int32_t> values, Options options) {
  check(model, biases, shape, symbols.size(), options);
  if (values.size() != symbols.size() * model.outputs)
    throw InvalidArgument("the tables do not fit the volume");
  if (symbols.empty()) return;
  check_symbols(model, symbols);
  const int threads = std::min(options.threads, shape.planes);
  const auto evaluator = make_evaluator(model, biases, shape, threads, options.simd);
  const size_t stride = evaluator->stride();
  run_planes(*evaluator, model, shape, threads,
             [&](int plane, int t, const int32_t* step_values, uint8_t* codes) {
               const Step step(shape, plane, t);
               for (int i = 0; i < step.count; ++i) {
                 codes[i] = input_code(model, symbols[step.at(i)]);
                 for (int o = 0; o < model.outputs; ++o) {
                   values[o * shape.size() + step.at(i)] = step_values[o * stride + i];
                 }
               }
             });
}

}  // namespace pycodec::context
