// The public face of the float masked 3D convolution over (plane, row, column), the layer that the context
// network is trained with: "same" zero padding, and only the taps of the past in raster order.
//
// Tensors lie as torch lays them out. Volumes: [batch][channels][planes][height][width]. Weights:
// [outputs][inputs][2][3][3], slice 0 for the previous plane, slice 1 for this one; of slice 1 only the row
// above, the left neighbour and, if `include_center` says so, the centre are used, the others are never read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"

namespace pycodec::conv {

enum class Element { kFloat32, kBFloat16 };  // sums are float32 for both

struct Shape {
  int batch, inputs, outputs, planes, height, width;
};

struct Options {
  bool include_center = true;
  int threads = 1;
  Simd simd = Simd::kScalar;
};

// y = x * weight + bias; `bias` [outputs] may be null.
void forward(Shape shape, Element type, const void* x, const void* weight, const void* bias, void* y,
             Options options);

// The gradient of the input, from that of the output.
void input_gradient(Shape shape, Element type, const void* grad, const void* weight, void* grad_x,
                    Options options);

// The gradient of the weights, from the input and the gradient of the output; zero for taps that are not
// used.
void weight_gradient(Shape shape, Element type, const void* x, const void* grad, void* grad_weight,
                     Options options);

}  // namespace pycodec::conv
