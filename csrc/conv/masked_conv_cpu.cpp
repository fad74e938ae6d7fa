// The convolution and its two gradients on the CPU: planes are copied into a border of zeros, the kernels run
// over their positions, rows are copied out. Work is divided into runs of planes.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/bfloat16.h"
#include "base/checked.h"
#include "base/kept_memory.h"
#include "base/thread_pool.h"
#include "conv/conv.h"
#include "conv/kernels.h"
#include "conv/taps.h"

namespace pycodec::conv {
namespace {

const Kernels& kernels_for(Simd simd, Element type) {
#if defined(__x86_64__)
  if (simd >= Simd::kAvx512) {
    const bool dot = type == Element::kBFloat16 && has_avx512_bf16();
    return dot ? avx512bf16_kernels() : avx512_kernels();
  }
  if (simd >= Simd::kAvx2) return avx2_kernels();
#else
  (void)simd;
  (void)type;
#endif
  return scalar_kernels();
}

// --- Elements ---

void load_row(Element type, const void* from, size_t offset, size_t n, float* to) {
  if (type == Element::kFloat32) {
    std::memcpy(to, static_cast<const float*>(from) + offset, n * sizeof(float));
    return;
  }
  const uint16_t* p = static_cast<const uint16_t*>(from) + offset;
  for (size_t i = 0; i < n; ++i) to[i] = from_bfloat16(p[i]);
}

void store_row(Element type, const Kernels& kernels, const float* from, size_t n, void* to, size_t offset) {
  if (type == Element::kFloat32) {
    std::memcpy(static_cast<float*>(to) + offset, from, n * sizeof(float));
  } else {
    kernels.to_bfloat16(from, n, static_cast<uint16_t*>(to) + offset);
  }
}

std::vector<float> load_all(Element type, const void* from, size_t n) {
  std::vector<float> values(n);
  if (n > 0) load_row(type, from, 0, n, values.data());
  return values;
}

// --- Planes ---

// The size of a plane with its border: one row above and below, two columns to the right of each row, the
// second of which is the left border of the next row.
struct Frame {
  explicit Frame(const Shape& s) : height(s.height), width(s.width), row(s.width + 2) {
    positions = static_cast<size_t>(height) * row;
    lead = ceil_div(row + 1, kLine) * kLine - (row + 1);
    stride = ceil_div(lead + positions + 2 * row + kMaxTile + 2, kLine) * kLine;
  }
  // What a tap sees from position 0: past the border, which begins so that position 0 begins a cache line.
  size_t shift(int h, int w) const { return lead + static_cast<size_t>(h + 1) * row + w + 1; }

  static constexpr size_t kLine = 32;  // lanes, of two bytes at least

  size_t height, width, row;
  size_t lead;
  size_t positions;  // computed ones, among them two of the border in each row
  size_t stride;     // between channels
};

// How the channels of a row lie in work. Rows of channel c of a plane start at `from` + c * `stride`
// elements.
struct FloatRows {
  using Lane = float;
  static int lanes(int channels) { return channels; }
  static void load(Element type, const void* data, size_t from, size_t, int, size_t n, Lane* to) {
    load_row(type, data, from, n, to);
  }
};
// Two channels of bfloat16 in a lane.
struct PairRows {
  using Lane = float;
  static int lanes(int channels) { return (channels + 1) / 2; }
  static void load(Element, const void* data, size_t from, size_t stride, int channels, size_t n, Lane* to) {
    const uint16_t* low = static_cast<const uint16_t*>(data) + from;
    const uint16_t* high = low + (channels > 1 ? stride : 0);
    const uint32_t mask = channels > 1 ? 0xffff0000u : 0;
    for (size_t i = 0; i < n; ++i) {
      to[i] = bits_float(low[i] | (static_cast<uint32_t>(high[i]) << 16 & mask));
    }
  }
};
struct HalfRows {
  using Lane = uint16_t;
  static int lanes(int channels) { return channels; }
  static void load(Element, const void* data, size_t from, size_t, int, size_t n, Lane* to) {
    std::memcpy(to, static_cast<const uint16_t*>(data) + from, n * sizeof(Lane));
  }
};

// Planes of a tensor [batch][channels][planes][height][width], framed; the last two used stay loaded.
template <class Rows>
class FramedPlanes {
 public:
  using Lane = typename Rows::Lane;

  FramedPlanes(const Frame& frame, Element type, const void* data, int channels, int planes)
      : frame_(frame),
        type_(type),
        data_(data),
        channels_(channels),
        planes_(planes),
        slots_{Kept<Lane>(size()), Kept<Lane>(size())} {
    for (const auto& slot : slots_) std::fill_n(slot.data(), size(), Lane(0));
  }

  const Lane* get(int batch, int plane) {
    const int slot = plane & 1;
    const int64_t wanted = static_cast<int64_t>(batch) * planes_ + plane;
    if (loaded_[slot] != wanted) {
      loaded_[slot] = wanted;
      load(slot, batch, plane);
    }
    return slots_[slot].data();
  }

 private:
  size_t size() const { return Rows::lanes(channels_) * frame_.stride; }

  void load(int slot, int batch, int plane) {
    const size_t plane_size = frame_.height * frame_.width, channel_size = planes_ * plane_size;
    const int rows = Rows::lanes(channels_), step = channels_ == rows ? 1 : 2;
    for (int r = 0; r < rows; ++r) {
      const int c = r * step;
      const size_t from = (static_cast<size_t>(batch) * channels_ + c) * channel_size + plane * plane_size;
      Lane* to = slots_[slot].data() + r * frame_.stride + frame_.shift(0, 0);
      for (size_t h = 0; h < frame_.height; ++h) {
        Rows::load(type_, data_, from + h * frame_.width, channel_size, channels_ - c, frame_.width,
                   to + h * frame_.row);
      }
    }
  }

  const Frame& frame_;
  const Element type_;
  const void* data_;
  const int channels_, planes_;
  const Kept<Lane> slots_[2];
  int64_t loaded_[2] = {-1, -1};
};

// Calls run(batch, first plane, end plane) for runs of planes that make up the volume, in parallel.
template <class Run>
void for_runs(const Shape& s, int threads, const Run& run) {
  // A run loads one plane that is also its neighbour's: no shorter than that cost bears.
  const int wanted = threads == 1 ? 1 : std::max(1, (2 * threads + s.batch - 1) / s.batch);
  const int length = std::max(std::min(s.planes, 4), (s.planes + wanted - 1) / wanted);
  const int runs = (s.planes + length - 1) / length;
  parallel_for(static_cast<size_t>(s.batch) * runs, threads, [&](size_t i) {
    const int first = static_cast<int>(i % runs) * length;
    run(static_cast<int>(i / runs), first, std::min(first + length, s.planes));
  });
}

// --- The convolution, in either direction ---

float pair(float low, float high) {
  return bits_float(float_bits(low) >> 16 | (float_bits(high) & 0xffff0000u));
}

// Weights of a correlation from `inputs` to `outputs`, in the order of the kernels; weight(o, i, t).
template <class Weight>
std::vector<float> pack(int outputs, int inputs, int taps, const Kernels& kernels, const Weight& weight) {
  std::vector<float> packed;
  packed.reserve(static_cast<size_t>(outputs) * inputs * kMaxTaps);
  for (int first = 0; first < outputs;) {
    const int size = next_block(outputs - first, kernels.widest);
    for (int t = 0; t < kMaxTaps; ++t) {
      for (int i = 0; i < inputs; i += kernels.dot ? 2 : 1) {
        for (int o = first; o < first + size; ++o) {
          const float w = t < taps ? weight(o, i, t) : 0.0f;
          if (!kernels.dot) {
            packed.push_back(w);
          } else {
            packed.push_back(pair(w, t < taps && i + 1 < inputs ? weight(o, i + 1, t) : 0.0f));
          }
        }
      }
    }
    first += size;
  }
  return packed;
}

// Direction 1: each position sees the taps; -1: each is seen from them, the transpose.
template <class Rows>
void correlate(const Shape& s, int inputs, int outputs, int direction, Element type, const void* x,
               const std::vector<float>& weights, const std::vector<float>& bias, void* y,
               const Options& options, const Kernels& kernels) {
  const Frame frame(s);
  const int far = -direction;  // the other plane, relative to the one computed
  for_runs(s, options.threads, [&](int batch, int first, int end) {
    FramedPlanes<Rows> planes(frame, type, x, inputs, s.planes);
    const Kept<float> out(outputs * frame.stride);
    Correlation c{};
    c.last_tap = tap_count(options.include_center);
    c.inputs = Rows::lanes(inputs);
    c.input_stride = frame.stride;
    c.weights = weights.data();
    c.bias = bias.data();
    c.outputs = outputs;
    c.out = out.data();
    c.output_stride = frame.stride;
    c.positions = frame.positions;
    for (int d = first; d < end; ++d) {
      const bool has_far = d + far >= 0 && d + far < s.planes;
      c.first_tap = has_far ? 0 : kFarTaps;
      const float* far_plane = has_far ? planes.get(batch, d + far) : nullptr;
      const float* near_plane = planes.get(batch, d);
      for (int t = c.first_tap; t < c.last_tap; ++t) {
        const size_t shift = frame.shift(direction * tap_at(t).row, direction * tap_at(t).column);
        c.taps[t] = (t < kFarTaps ? far_plane : near_plane) + shift;
      }
      kernels.correlate(c);
      for (int o = 0; o < outputs; ++o) {
        const size_t to =
            ((static_cast<size_t>(batch) * outputs + o) * s.planes + d) * frame.height * frame.width;
        for (size_t h = 0; h < frame.height; ++h) {
          store_row(type, kernels, out.data() + o * frame.stride + h * frame.row, frame.width, y,
                    to + h * frame.width);
        }
      }
    }
  });
}

bool empty(const Shape& s) { return s.batch == 0 || s.planes == 0 || s.height == 0 || s.width == 0; }

}  // namespace

void forward(Shape s, Element type, const void* x, const void* weight, const void* bias, void* y,
             Options options) {
  if (empty(s)) return;
  const Kernels& kernels = kernels_for(options.simd, type);
  const std::vector<float> w = load_all(type, weight, kWeights * s.outputs * s.inputs);
  const std::vector<float> packed =
      pack(s.outputs, s.inputs, tap_count(options.include_center), kernels,
           [&](int o, int i, int t) { return w[(static_cast<size_t>(o) * s.inputs + i) * kWeights + t]; });
  const std::vector<float> b =
      bias != nullptr ? load_all(type, bias, s.outputs) : std::vector<float>(s.outputs);
  const auto run = kernels.dot ? correlate<PairRows> : correlate<FloatRows>;
  run(s, s.inputs, s.outputs, 1, type, x, packed, b, y, options, kernels);
}

void input_gradient(Shape s, Element type, const void* grad, const void* weight, void* grad_x,
                    Options options) {
  if (empty(s)) return;
  const Kernels& kernels = kernels_for(options.simd, type);
  const std::vector<float> w = load_all(type, weight, kWeights * s.outputs * s.inputs);
  const std::vector<float> packed =
      pack(s.inputs, s.outputs, tap_count(options.include_center), kernels,
           [&](int i, int o, int t) { return w[(static_cast<size_t>(o) * s.inputs + i) * kWeights + t]; });
  const auto run = kernels.dot ? correlate<PairRows> : correlate<FloatRows>;
  run(s, s.outputs, s.inputs, -1, type, grad, packed, std::vector<float>(s.inputs), grad_x, options, kernels);
}

namespace {

// Adds the products of planes [first, end) to sums[tap][output][input][lane].
template <class Rows>
void add_planes(const Shape& s, Element type, const void* x, const void* grad, int taps, int batch, int first,
                int end, float* sums, const Kernels& kernels) {
  const Frame frame(s);
  FramedPlanes<Rows> inputs(frame, type, x, s.inputs, s.planes);
  FramedPlanes<Rows> gradients(frame, type, grad, s.outputs, s.planes);
  WeightGradient w{};
  w.inputs = s.inputs;
  w.input_stride = frame.stride;
  w.outputs = s.outputs;
  w.grad_stride = frame.stride;
  w.last_tap = taps;
  w.positions = frame.positions;
  w.sums = sums;
  for (int d = first; d < end; ++d) {
    const auto* far_plane = d > 0 ? inputs.get(batch, d - 1) : nullptr;
    const auto* near_plane = inputs.get(batch, d);
    w.first_tap = d > 0 ? 0 : kFarTaps;
    for (int t = w.first_tap; t < taps; ++t) {
      w.taps[t] = (t < kFarTaps ? far_plane : near_plane) + frame.shift(tap_at(t).row, tap_at(t).column);
    }
    w.grad = gradients.get(batch, d) + frame.shift(0, 0);
    kernels.add_weight_gradient(w);
  }
}

}  // namespace

void weight_gradient(Shape s, Element type, const void* x, const void* grad, void* grad_weight,
                     Options options) {
  const Kernels& kernels = kernels_for(options.simd, type);
  const int taps = tap_count(options.include_center);
  const size_t pairs = static_cast<size_t>(s.outputs) * s.inputs;
  // One set of sums per run, added up in order: the same threads, the same bits.
  std::vector<std::vector<float>> partial(static_cast<size_t>(s.batch) * s.planes);
  if (!empty(s)) {
    const auto add = kernels.dot ? add_planes<HalfRows> : add_planes<FloatRows>;
    for_runs(s, options.threads, [&](int batch, int first, int end) {
      std::vector<float>& sums = partial[static_cast<size_t>(batch) * s.planes + first];
      sums.assign(pairs * taps * kernels.lanes, 0.0f);
      add(s, type, x, grad, taps, batch, first, end, sums.data(), kernels);
    });
  }
  std::vector<double> total(pairs * taps);
  for (const std::vector<float>& sums : partial) {
    const float* lane = sums.data();
    for (size_t i = 0; i < total.size() && !sums.empty(); ++i) {
      for (int l = 0; l < kernels.lanes; ++l) total[i] += *lane++;
    }
  }
  std::vector<float> dense(pairs * kWeights);
  for (int t = 0; t < taps; ++t) {
    for (size_t p = 0; p < pairs; ++p) {
      dense[p * kWeights + t] = static_cast<float>(total[t * pairs + p]);
    }
  }
  if (!dense.empty()) store_row(type, kernels, dense.data(), dense.size(), grad_weight, 0);
}

}  // namespace pycodec::conv
