// encode, encode_chosen, decode and tables: one image's symbols through the network and the range coder.
#include <chrono>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "context/context.h"
#include "context/evaluator.h"
#include "context/planes.h"
#include "context/step_decoder.h"
#include "context/substream.h"

namespace pycodec::context {
namespace {

void check(const Model& model, const Biases& biases, Shape s, size_t symbols, const Options& options) {
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
  if (model.sees_earlier_planes() && s.planes != 0 && s.planes != model.planes) {
    throw InvalidArgument("a volume of " + std::to_string(s.planes) + " planes; this model codes " +
                          std::to_string(model.planes));
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

std::unique_ptr<Evaluator> make_evaluator(const Model& model, const Biases& biases, Shape shape, Order order,
                                          int threads, Simd simd) {
#if defined(__x86_64__)
  if (simd >= Simd::kAvx512) return make_avx512(model, biases, shape, order, threads + 1);
  if (simd >= Simd::kAvx2) return make_avx2(model, biases, shape, order, threads + 1);
#else
  (void)simd;
#endif
  return make_scalar(model, biases, shape, order, threads + 1);
}

// As many of `threads` as the evaluator has memory for: an evaluator keeps the activations of a plane for
// every thread, which for a plane of a million symbols is a hundred megabytes.
int threads_for(const Model& model, Shape shape, Order order, int threads) {
  constexpr size_t kMemory = size_t{1} << 30;
  const Steps steps(shape, order);
  const size_t bytes = static_cast<size_t>(steps.count()) * (steps.max_lanes() + size_t{32}) *
                       (3 * static_cast<size_t>(model.width) + 1);
  return std::min<size_t>(threads, std::max<size_t>(2, kMemory / bytes) - 1);
}

// Calls visit(plane, row, values, stride) for every row of symbols, once its tables are in `values` (as
// Evaluator::evaluate leaves them). All symbols are known, so rows it is.
template <class Visit>
void evaluate_rows(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
                   const Options& options, const Visit& visit) {
  const int threads = threads_for(model, shape, Order::kRows, std::min(options.threads, shape.planes));
  const auto evaluator = make_evaluator(model, biases, shape, Order::kRows, threads, options.simd);
  const size_t stride = evaluator->stride();
  run_planes(evaluator->steps(), shape.planes, threads, options.watch, [&](int plane) {
    return [&, stride, plane, codes = std::vector<uint8_t>(stride),
            values = std::vector<int32_t>(stride * (model.outputs + 1))](int row) mutable {
      const int32_t* own = symbols.data() + plane * shape.plane_size() + row * shape.width;
      for (int i = 0; i < shape.width; ++i) codes[i] = input_code(model, own[i]);
      evaluator->store(plane, row, codes.data());
      evaluator->evaluate(plane, row, values.data());
      visit(plane, row, values.data(), stride);
    };
  });
}

// What the first pass of the encoder finds out: every symbol's interval, by its index in the volume, and
// every plane's escapes in coding order.
struct Coded {
  std::vector<Interval> intervals;
  std::vector<ByteWriter> escapes;
};

Coded intervals_of(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
                   const Options& options) {
  Coded coded{std::vector<Interval>(shape.size()), std::vector<ByteWriter>(shape.planes)};
  const Steps steps(shape, Order::kWavefront);
  const LogisticTables logistic = logistic_tables(model);
  // By plane: 1 + what escapes, for every symbol of the planes where any does.
  std::vector<std::vector<uint32_t>> escapes(shape.planes);
  evaluate_rows(model, biases, shape, symbols, options,
                [&](int plane, int row, int32_t* values, size_t stride) {
                  const size_t first = plane * shape.plane_size() + static_cast<size_t>(row) * shape.width;
                  const int32_t* own = symbols.data() + first;
                  Interval* out = coded.intervals.data() + first;
                  if (model.head == Head::kCategorical) {
                    frequencies_to_starts(values, stride, model.outputs, shape.width);
                    for (int i = 0; i < shape.width; ++i)
                      out[i] = categorical_interval(values + i, stride, own[i]);
                    return;
                  }
                  for (int i = 0; i < shape.width; ++i) {
                    const Logistic table(logistic, values[i], values[stride + i]);
                    uint32_t escape = 0;
                    const int index = table.class_of(own[i], escape);
                    out[i] = table.interval(index);
                    if (index == table.escape_class()) {
                      escapes[plane].resize(shape.plane_size());
                      escapes[plane][row * shape.width + i] = 1 + escape;
                    }
                  }
                  if (row + 1 < shape.height || escapes[plane].empty()) return;
                  for (int t = 0; t < steps.count(); ++t) {
                    for (int i = 0; i < steps.lanes(t); ++i) {
                      const uint32_t escape = escapes[plane][steps.start(t) + i * steps.distance()];
                      if (escape != 0) coded.escapes[plane].varint(escape - 1);
                    }
                  }
                  std::vector<uint32_t>().swap(escapes[plane]);
                });
  return coded;
}

// The same, of symbols that are chosen on the way: a step of the wavefront at a time, so that every choice
// knows the tables that a decoder will have.
Coded chosen_intervals(const Model& model, const Biases& biases, Shape shape, Span<int32_t> symbols,
                       const Tradeoff& tradeoff, const Options& options) {
  Coded coded{std::vector<Interval>(shape.size()), std::vector<ByteWriter>(shape.planes)};
  const LogisticTables logistic = logistic_tables(model);
  const int threads = threads_for(model, shape, Order::kWavefront, std::min(options.threads, shape.planes));
  const auto evaluator = make_evaluator(model, biases, shape, Order::kWavefront, threads, options.simd);
  const Steps& steps = evaluator->steps();
  const size_t stride = evaluator->stride();
  run_planes(steps, shape.planes, threads, options.watch, [&](int plane) {
    return [&, stride, plane, codes = std::vector<uint8_t>(stride),
            values = std::vector<int32_t>(stride * (model.outputs + 1))](int t) mutable {
      evaluator->evaluate(plane, t, values.data());
      size_t at = plane * shape.plane_size() + steps.start(t);
      for (int i = 0; i < steps.lanes(t); ++i, at += steps.distance()) {
        const Logistic table(logistic, values[i], values[stride + i]);
        const int32_t y = chosen_symbol(table, symbols[at], tradeoff.slopes[at], tradeoff.curvatures[plane]);
        symbols[at] = y;
        codes[i] = input_code(model, y);
        uint32_t escape = 0;
        const int index = table.class_of(y, escape);
        coded.intervals[at] = table.interval(index);
        if (index == table.escape_class()) coded.escapes[plane].varint(escape);
      }
      evaluator->store(plane, t, codes.data());
    };
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

std::vector<uint8_t> stream_of(const Coded& coded, Shape shape, int threads) {
  const StreamLayout layout = choose_layout(payload_bytes(coded), shape.planes);
  const int substreams = layout.substreams(), lanes = layout.lanes();

  const Steps steps(shape, Order::kWavefront);
  std::vector<SubstreamWriter> writers;
  for (int s = 0; s < substreams; ++s) {
    const size_t planes = (shape.planes - 1 - s) / substreams + 1;
    writers.emplace_back(planes * shape.plane_size(), lanes);
  }
  parallel_for(substreams, threads, [&](size_t s) {
    const int last = static_cast<int>(s) + (shape.planes - 1 - static_cast<int>(s)) / substreams * substreams;
    for (int plane = last; plane >= 0; plane -= substreams) {
      const Interval* own = coded.intervals.data() + plane * shape.plane_size();
      for (int t = steps.count() - 1; t >= 0; --t) {
        writers[s].put(own + steps.start(t), steps.distance(), steps.lanes(t));
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
    writers[s].append_to(out);
    for (int d = s; d < shape.planes; d += substreams) out.append(coded.escapes[d].bytes());
  }
  return std::move(out.bytes());
}

}  // namespace

std::vector<uint8_t> encode(const Model& model, const Biases& biases, Shape shape,
                            Span<const int32_t> symbols, const Options& options, double* table_seconds) {
  check(model, biases, shape, symbols.size(), options);
  if (table_seconds != nullptr) *table_seconds = 0;
  if (symbols.empty()) return {};
  check_symbols(model, symbols);
  const auto start = std::chrono::steady_clock::now();
  const Coded coded = intervals_of(model, biases, shape, symbols, options);
  if (table_seconds != nullptr) {
    *table_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return stream_of(coded, shape, options.threads);
}

std::vector<uint8_t> encode_chosen(const Model& model, const Biases& biases, Shape shape,
                                   Span<int32_t> symbols, const Tradeoff& tradeoff, const Options& options,
                                   double* table_seconds) {
  check(model, biases, shape, symbols.size(), options);
  if (model.head != Head::kParametric) {
    throw InvalidArgument("symbols can be chosen for a parametric head only");
  }
  if (tradeoff.slopes.size() != symbols.size() ||
      tradeoff.curvatures.size() != static_cast<size_t>(shape.planes)) {
    throw InvalidArgument("the slopes or curvatures do not fit the volume");
  }
  if (table_seconds != nullptr) *table_seconds = 0;
  if (symbols.empty()) return {};
  check_symbols(model, {symbols.data(), symbols.size()});
  const auto start = std::chrono::steady_clock::now();
  const Coded coded = chosen_intervals(model, biases, shape, symbols, tradeoff, options);
  if (table_seconds != nullptr) {
    *table_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return stream_of(coded, shape, options.threads);
}

void decode(const Model& model, const Biases& biases, Shape shape, Bytes data, Span<int32_t> symbols,
            const Options& options) {
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
  const int substreams = static_cast<int>(readers.size());
  // With no more threads than substreams, a substream's planes never overlap (see run_planes).
  const int threads = threads_for(model, shape, Order::kWavefront, std::min(options.threads, substreams));
  const auto evaluator = make_evaluator(model, biases, shape, Order::kWavefront, threads, options.simd);
  const Steps& steps = evaluator->steps();
  const size_t stride = evaluator->stride();
  const StepDecoder decode_step(model, stride, steps.distance(), layout.lanes());
  run_planes(steps, shape.planes, threads, options.watch, [&](int plane) {
    return [&, plane, codes = std::vector<uint8_t>(stride),
            values = std::vector<int32_t>(stride * (model.outputs + 1))](int t) mutable {
      evaluator->evaluate(plane, t, values.data());
      int32_t* out = symbols.data() + plane * shape.plane_size() + steps.start(t);
      decode_step(values.data(), steps.lanes(t), readers[plane % substreams], out, codes.data());
      evaluator->store(plane, t, codes.data());
    };
  });
  for (const SubstreamReader& in : readers) in.finish();
}

void tables(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
            Span<int32_t> values, const Options& options) {
  check(model, biases, shape, symbols.size(), options);
  if (values.size() != symbols.size() * model.outputs)
    throw InvalidArgument("the tables do not fit the volume");
  if (symbols.empty()) return;
  check_symbols(model, symbols);
  evaluate_rows(model, biases, shape, symbols, options,
                [&](int plane, int row, const int32_t* row_values, size_t stride) {
                  const size_t first = plane * shape.plane_size() + static_cast<size_t>(row) * shape.width;
                  for (int o = 0; o < model.outputs; ++o) {
                    std::copy_n(row_values + o * stride, shape.width, &values[o * shape.size() + first]);
                  }
                });
}

}  // namespace pycodec::context
