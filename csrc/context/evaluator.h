// What a backend of the context network is: it turns the symbols of the past into the tables of the next
// step.
#pragma once

#include <cstdint>
#include <memory>

#include "base/cpu_features.h"
#include "context/spec.h"
#include "context/steps.h"

namespace pycodec::context {

// Evaluates one volume, plane by plane in steps 0, 1, 2, ... of either order; several planes may run at once
// in different threads.
//
// `slots` planes are kept: plane d uses slot d mod slots, so it may start once plane d - slots + 1, the last
// reader of what it overwrites, is complete. Step t of plane d reads steps up to t + steps().reach() of plane
// d - 1.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  const Steps& steps() const { return steps_; }

  // Elements between two outputs in `values` of evaluate(), and the room that `codes` of store() must have.
  size_t stride() const { return stride_; }

  // Tables of the symbols of a step: categorical, values[i * stride + j] is the frequency of class i at the
  // step's j-th symbol; parametric, row 0 is the location in sixteenths and row 1 the scale index. There must
  // be one row more than outputs; elements beyond the step's symbols are unspecified.
  virtual void evaluate(int plane, int step, int32_t* values) = 0;

  // The input codes of the step's symbols: in the order of the wavefront once evaluate() made it possible to
  // know them, in that of rows before.
  virtual void store(int plane, int step, const uint8_t* codes) = 0;

 protected:
  Evaluator(Shape shape, Order order)
      : steps_(shape, order), stride_(static_cast<size_t>(steps_.max_lanes() + 31) / 16 * 16) {}

 private:
  const Steps steps_;
  const size_t stride_;
};

// The plain one: one position, one channel at a time.
std::unique_ptr<Evaluator> make_scalar(const Model& model, const Biases& biases, Shape shape, Order order,
                                       int slots);

#if defined(__x86_64__)
// 8 or 16 symbols of a step at once; for Simd::kAvx2 and Simd::kAvx512.
std::unique_ptr<Evaluator> make_avx2(const Model& model, const Biases& biases, Shape shape, Order order,
                                     int slots);
std::unique_ptr<Evaluator> make_avx512(const Model& model, const Biases& biases, Shape shape, Order order,
                                       int slots);
#endif

}  // namespace pycodec::context
