// Quantized layers, chunk of positions by chunk, so that codes and sums stay in the cache.
#include "quantized/layers.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/huge_pages.h"
#include "base/kept_memory.h"
#include "base/thread_pool.h"
#include "quantized/border.h"

namespace pycodec::quantized {
namespace {

constexpr size_t kChunk = 126;       // positions: whole tiles of 14 and of 9
constexpr int kPartsPerThread = 12;  // so that a thread that is held up leaves its share to the others
constexpr ptrdiff_t kHere[] = {0};
constexpr int kNarrowLimit = 255;

const Kernels& kernels_for(Simd simd) {
#if defined(__x86_64__)
  if (simd >= Simd::kAvx512) return avx512_kernels();
  if (simd >= Simd::kAvx2) return avx2_kernels();
#else
  (void)simd;
#endif
  return scalar_kernels();
}

std::vector<float> checked(Span<const float> values, int size, const char* name) {
  if (values.size() != static_cast<size_t>(size)) {
    throw InvalidArgument(std::string("quantized layer: ") + name + " has " + std::to_string(values.size()) +
                          " elements, expected " + std::to_string(size));
  }
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    throw InvalidArgument(std::string("quantized layer: ") + name + " has elements that are not finite");
  }
  return {values.begin(), values.end()};
}

int checked_limit(int limit) {
  if (limit < 1 || limit > INT16_MAX) {
    throw InvalidArgument("quantized layer: limit is " + std::to_string(limit) + ", expected 1 to 32767");
  }
  return limit;
}

// Calls work(begin, end) for parts of [0, positions), whole chunks but the last, on several threads.
template <class Work>
void in_parts(size_t positions, int threads, const Work& work) {
  const size_t chunks = (positions + kChunk - 1) / kChunk;
  const size_t parts = threads == 1 ? 1 : std::min(chunks, static_cast<size_t>(threads) * kPartsPerThread);
  parallel_for(parts, threads, [&](size_t i) {
    work(chunks * i / parts * kChunk, std::min(positions, chunks * (i + 1) / parts * kChunk));
  });
}

// Calls write(row of codes, h) for every row of a bordered map.
template <class Write>
void fill_rows(BorderedCodes& codes, int height, int threads, const Write& write) {
  const size_t parts = threads == 1 ? 1 : std::min(height, threads * kPartsPerThread);
  parallel_for(parts, threads, [&](size_t i) {
    for (size_t h = height * i / parts; h < height * (i + 1) / parts; ++h) write(codes.row(h), h);
  });
}

bool has_squares(int channels, int side) { return side >= 1 && side <= 64 && channels % (side * side) == 0; }

}  // namespace

Conv::Conv(const Spec& spec, Simd simd)
    : kernels_(kernels_for(simd)),
      side_(spec.side),
      downsample_(spec.downsample),
      upsample_(spec.upsample),
      limit_(checked_limit(spec.limit)),
      weights_(kernels_, spec.weight, spec.outputs, spec.side * spec.side, spec.inputs, spec.limit, false),
      scale_(checked(spec.scale, spec.inputs, "scale")),
      multiplier_(checked(spec.multiplier, spec.outputs, "multiplier")),
      bias_(checked(spec.bias, spec.outputs, "bias")) {
  if (side_ != 1 && side_ != 3) throw InvalidArgument("quantized layer: kernels are 1 x 1 or 3 x 3");
  if (!has_squares(spec.inputs, downsample_)) {
    throw InvalidArgument("quantized layer: " + std::to_string(spec.inputs) +
                          " inputs cannot be downsampled by " + std::to_string(downsample_));
  }
  if (!has_squares(spec.outputs, upsample_)) {
    throw InvalidArgument("quantized layer: " + std::to_string(spec.outputs) +
                          " outputs cannot be upsampled by " + std::to_string(upsample_));
  }
}

void Conv::forward(Size size, const float* x, float* y, bool add, Options options) const {
  if (size.height < 1 || size.width < 1) return;
  const size_t width = size.width, channels = weights_.padded_inputs();
  const size_t down = downsample_, row_inputs = inputs() / down;
  const auto to_codes = [&](size_t h, size_t w, int16_t* codes) {
    for (size_t r = 0; r < down; ++r) {
      kernels_.to_codes(x + ((h * down + r) * width + w) * row_inputs, scale_.data() + r * row_inputs,
                        static_cast<float>(limit_), row_inputs, codes + r * row_inputs);
    }
  };
  const size_t up = upsample_, row_outputs = outputs() / up;
  if (!add) expect_first_writes(y, size.height * width * outputs() * sizeof(float));
  const auto write = add ? kernels_.add_sums : kernels_.sums_to_floats;
  const auto to_floats = [&](const int32_t* sums, size_t index) {
    const size_t h = index / width, w = index % width;
    for (size_t r = 0; r < up; ++r) {
      write(sums + r * row_outputs, multiplier_.data() + r * row_outputs, bias_.data() + r * row_outputs,
            row_outputs, y + ((h * up + r) * width + w) * row_outputs);
    }
  };
  const size_t stride = weights_.sum_stride();

  if (side_ == 1) {
    in_parts(size.height * width, options.threads, [&](size_t begin, size_t end) {
      const Kept<int16_t> codes((kChunk + kMaxTile) * channels);
      const Kept<int32_t> sums((kChunk + kMaxTile) * stride);
      for (size_t at = begin; at < end; at += kChunk) {
        const size_t n = std::min(kChunk, end - at);
        for (size_t p = 0; p < n; ++p) {
          to_codes((at + p) / width, (at + p) % width, codes.data() + p * channels);
        }
        weights_.multiply(codes.data(), {kHere, 1}, n, sums.data());
        for (size_t p = 0; p < n; ++p) to_floats(sums.data() + p * stride, at + p);
      }
    });
    return;
  }
  BorderedCodes codes(size, channels);
  fill_rows(codes, size.height, options.threads, [&](int16_t* row, size_t h) {
    for (size_t w = 0; w < width; ++w) to_codes(h, w, row + w * channels);
  });
  const std::array<ptrdiff_t, 9> taps = codes.taps();
  in_parts(codes.positions(), options.threads, [&](size_t begin, size_t end) {
    const Kept<int32_t> sums((kChunk + kMaxTile) * stride);
    for (size_t at = begin; at < end; at += kChunk) {
      const size_t n = std::min(kChunk, end - at);
      weights_.multiply(codes.at(at), {taps.data(), taps.size()}, n, sums.data());
      codes.for_runs(at, at + n, [&](size_t offset, size_t index, size_t count) {
        for (size_t p = 0; p < count; ++p) to_floats(sums.data() + (offset + p) * stride, index + p);
      });
    }
  });
}

PartialBlock::PartialBlock(const Spec& spec, Simd simd)
    : kernels_(kernels_for(simd)),
      part_(spec.part),
      limit_(checked_limit(spec.limit)),
      hidden_limit_(checked_limit(spec.hidden_limit)),
      spatial_(kernels_, spec.spatial, spec.part, 9, spec.part, spec.limit, false),
      expand_(kernels_, spec.expand, spec.hidden, 1, spec.channels, spec.limit, false),
      project_(kernels_, spec.project, spec.channels, 1, spec.hidden, spec.hidden_limit,
               spec.hidden_limit <= kNarrowLimit),
      part_scale_(checked(spec.part_scale, spec.part, "part_scale")),
      spatial_multiplier_(checked(spec.spatial_multiplier, spec.part, "spatial_multiplier")),
      scale_(checked(spec.scale, spec.channels, "scale")),
      expand_multiplier_(checked(spec.expand_multiplier, spec.hidden, "expand_multiplier")),
      project_multiplier_(checked(spec.project_multiplier, spec.channels, "project_multiplier")),
      project_bias_(checked(spec.project_bias, spec.channels, "project_bias")) {
  if (part_ > spec.channels) throw InvalidArgument("quantized layer: part is larger than channels");
}

void PartialBlock::forward(Size size, float* x, const float* hidden_bias, Options options) const {
  if (size.height < 1 || size.width < 1) return;
  const size_t channels = this->channels(), part = part_, hidden = this->hidden();
  const float limit = static_cast<float>(limit_);
  BorderedCodes part_codes(size, spatial_.padded_inputs());
  fill_rows(part_codes, size.height, options.threads, [&](int16_t* row, size_t h) {
    for (int w = 0; w < size.width; ++w) {
      kernels_.to_codes(x + (h * size.width + w) * channels, part_scale_.data(), limit, part,
                        row + w * part_codes.channels());
    }
  });

  const auto to_hidden = hidden_limit_ <= kNarrowLimit ? kernels_.sums_to_narrow : kernels_.sums_to_hidden;
  const std::array<ptrdiff_t, 9> taps = part_codes.taps();
  in_parts(part_codes.positions(), options.threads, [&](size_t begin, size_t end) {
    constexpr size_t kRoom = kChunk + kMaxTile;
    const Kept<int16_t> codes(kRoom * expand_.padded_inputs());
    const Kept<uint8_t> hidden_codes(kRoom * project_.padded_inputs() * project_.code_bytes());
    const Kept<int32_t> sums(kRoom *
                             std::max({spatial_.sum_stride(), expand_.sum_stride(), project_.sum_stride()}));
    const size_t row = expand_.padded_inputs();
    const size_t hidden_row = project_.padded_inputs() * project_.code_bytes();
    for (size_t at = begin; at < end; at += kChunk) {
      const size_t n = std::min(kChunk, end - at);
      spatial_.multiply(part_codes.at(at), {taps.data(), taps.size()}, n, sums.data());
      part_codes.for_runs(at, at + n, [&](size_t offset, size_t index, size_t count) {
        for (size_t p = 0; p < count; ++p) {
          int16_t* to = codes.data() + (offset + p) * row;
          kernels_.sums_to_codes(sums.data() + (offset + p) * spatial_.sum_stride(),
                                 spatial_multiplier_.data(), limit, part, to);
          kernels_.to_codes(x + (index + p) * channels + part, scale_.data() + part, limit, channels - part,
                            to + part);
        }
      });
      expand_.multiply(codes.data(), {kHere, 1}, n, sums.data());
      for (size_t p = 0; p < n; ++p) {
        to_hidden(sums.data() + p * expand_.sum_stride(), expand_multiplier_.data(), hidden_bias,
                  static_cast<float>(hidden_limit_), hidden, hidden_codes.data() + p * hidden_row);
      }
      project_.multiply(hidden_codes.data(), {kHere, 1}, n, sums.data());
      part_codes.for_runs(at, at + n, [&](size_t offset, size_t index, size_t count) {
        for (size_t p = 0; p < count; ++p) {
          kernels_.add_sums(sums.data() + (offset + p) * project_.sum_stride(), project_multiplier_.data(),
                            project_bias_.data(), channels, x + (index + p) * channels);
        }
      });
    }
  });
}

}  // namespace pycodec::quantized
