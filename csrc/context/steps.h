// The two orders in which a plane is worked through, a step at a time.
//
// Wavefront: step t holds the symbols with 2 h + w == t, by rising h. None depends on another, so a decoder
// can go this way; it is the order of the stream. Rows: step t is row t, by rising w. It needs symbols that
// are known, and fills registers better.
//
// In both, the symbols under a tap of a step's lanes are lanes of one other step, next to each other in the
// same order, at most one lane further or back.
#pragma once

#include "context/spec.h"

namespace pycodec::context {

enum class Order { kWavefront, kRows };

class Steps {
 public:
  Steps(Shape shape, Order order) : shape_(shape), rows_(order == Order::kRows) {}

  int count() const { return rows_ ? shape_.height : step_count(shape_); }
  // Symbols of a step; 0 is possible in a wavefront over a single column.
  int lanes(int t) const { return rows_ ? shape_.width : rows_in_step(shape_, t); }
  int max_lanes() const { return rows_ ? shape_.width : max_rows_in_step(shape_); }

  int row(int t, int lane) const { return rows_ ? t : first_row(shape_, t) + lane; }
  int column(int t, int lane) const { return rows_ ? lane : t - 2 * row(t, lane); }
  // Index in the plane of lane 0, and from one lane to the next.
  size_t start(int t) const { return static_cast<size_t>(row(t, 0)) * shape_.width + column(t, 0); }
  ptrdiff_t distance() const { return rows_ ? 1 : shape_.width - 2; }

  // Taps reach at most this many steps back in their own plane or ahead in the previous one.
  int reach() const { return rows_ ? 1 : 3; }
  // The step that a tap of step t lies in, and its lane there for lane 0.
  int tap_step(int t, Tap tap) const { return rows_ ? t + tap.h : t + 2 * tap.h + tap.w; }
  int tap_lane(int t, Tap tap) const {
    return rows_ ? tap.w : first_row(shape_, t) + tap.h - first_row(shape_, tap_step(t, tap));
  }

 private:
  const Shape shape_;
  const bool rows_;
};

}  // namespace pycodec::context
