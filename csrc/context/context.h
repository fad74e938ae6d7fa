// The public face of the integer 3D context model: symbols of one image to a stream and back.
// The stream is described in docs/context-model.md.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/cpu_features.h"
#include "base/span.h"
#include "context/spec.h"

namespace pycodec::context {

// How to run; no choice here changes a byte or a symbol.
struct Options {
  int threads = 1;
  Simd simd = Simd::kScalar;
  // Called after each plane that the calling thread completes, with how many are, and in the end. What it
  // throws ends the call.
  std::function<void(int)> watch = nullptr;
};

// Stream of `symbols` (shape.size() of them). Throws InvalidArgument for symbols or shapes out of range.
// `table_seconds`, if any, is the time that the network took, the rest being the range coder's.
std::vector<uint8_t> encode(const Model& model, const Biases& biases, Shape shape,
                            Span<const int32_t> symbols, const Options& options,
                            double* table_seconds = nullptr);

// What changing symbols does to the image, in units of 2^-13 bit: adding d to a symbol costs
// slopes[its index in the volume] d + curvatures[its plane] d^2 besides bits.
struct Tradeoff {
  Span<const int32_t> slopes, curvatures;
};

// As encode, after choosing for each of `symbols`, in coding order, what costs least: itself or a neighbour
// (chosen_symbol). For the parametric head. Writes the choices back.
std::vector<uint8_t> encode_chosen(const Model& model, const Biases& biases, Shape shape,
                                   Span<int32_t> symbols, const Tradeoff& tradeoff, const Options& options,
                                   double* table_seconds = nullptr);

// Writes the symbols of a stream. Throws CorruptStream when `data` is not a stream of that many symbols.
void decode(const Model& model, const Biases& biases, Shape shape, Bytes data, Span<int32_t> symbols,
            const Options& options);

// What the coder uses for each symbol, values[outputs][planes][height][width]: all frequencies of the
// categorical head, location (sixteenths) and scale index of the parametric one.
void tables(const Model& model, const Biases& biases, Shape shape, Span<const int32_t> symbols,
            Span<int32_t> values, const Options& options);

}  // namespace pycodec::context
