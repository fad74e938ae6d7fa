// The public face of the convolution on GPUs. The functions are those of conv.h; `Where` is a Device, or an
// Emulation that executes the very same programs on the host, for tests where there is no GPU. A tensor is as
// conv.h says, contiguous, in the memory of the device; work is put in order on the stream.
#pragma once

#include <cstddef>

#include "conv/conv.h"

namespace pycodec::conv::gpu {

struct Device {
  int index;     // of the CUDA device, which must be the current one
  void* stream;  // cudaStream_t

  template <class Program>
  int blocks_at_once(size_t shared_slots) const;
  template <class Program>
  void run(const typename Program::Arguments& arguments, int x, int y) const;
};

struct Emulation {
  int blocks;    // that the pretended GPU runs at a time
  bool reverse;  // the order in which the threads of a block take turns

  template <class Program>
  int blocks_at_once(size_t shared_slots) const;
  template <class Program>
  void run(const typename Program::Arguments& arguments, int x, int y) const;
};

template <class Where>
void forward(const Where& where, const Shape& s, Element type, const void* x, const void* weight,
             const void* bias, void* y, bool include_center);

template <class Where>
void input_gradient(const Where& where, const Shape& s, Element type, const void* grad, const void* weight,
                    void* grad_x, bool include_center);

// Floats of memory that weight_gradient needs to work in.
template <class Where>
size_t workspace(const Where& where, const Shape& s, Element type, bool include_center);

// `grad_bias` [outputs] may be null.
template <class Where>
void weight_gradient(const Where& where, const Shape& s, Element type, const void* x, const void* grad,
                     void* grad_weight, void* grad_bias, float* workspace, bool include_center);

}  // namespace pycodec::conv::gpu
