// Quantized layers for pycodec/ops/quantized.py, which has the reference of every rule.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "base/error.h"
#include "bindings/bindings.h"
#include "quantized/layers.h"

namespace py = pybind11;
namespace quantized = pycodec::quantized;

namespace {

using Floats = Array<float>;
using Weights = Array<int16_t>;

void require(bool condition, const char* what) {
  if (!condition) throw pycodec::InvalidArgument(std::string("quantized layer: ") + what);
}

template <class T>
pycodec::Span<const T> span(const Array<T>& a) {
  return {a.data(), static_cast<size_t>(a.size())};
}

pycodec::Simd simd_of(const std::string& name) {
  return name.empty() ? pycodec::simd_in_use() : pycodec::simd_named(name);
}

int dimension(const py::array& a, int axis) {
  require(a.ndim() > axis && a.shape(axis) >= 1 && a.shape(axis) <= 1 << 24, "an array has a wrong shape");
  return static_cast<int>(a.shape(axis));
}

quantized::Size size_of(const py::array& map, int channels) {
  require(map.ndim() == 3 && map.shape(2) == channels, "a map does not have the layer's channels");
  require(map.dtype().is(py::dtype::of<float>()) && is_plain(map),
          "a map is not C-contiguous, aligned float32");
  for (int axis : {0, 1}) require(map.shape(axis) <= 1 << 24, "a map is too large");
  return {static_cast<int>(map.shape(0)), static_cast<int>(map.shape(1))};
}

quantized::Options options(int threads) {
  require(threads >= 1, "threads must be at least 1");
  return {threads};
}

quantized::Conv make_conv(const Weights& weight, const Floats& scale, const Floats& multiplier,
                          const Floats& bias, int limit, int downsample, int upsample,
                          const std::string& simd) {
  require(weight.ndim() == 4 && weight.shape(1) == weight.shape(2),
          "weights are not [outputs, k, k, inputs]");
  return {{dimension(weight, 0), dimension(weight, 1), dimension(weight, 3), downsample, upsample, limit,
           span(scale), span(weight), span(multiplier), span(bias)},
          simd_of(simd)};
}

void conv_forward(const quantized::Conv& conv, const py::array& x, py::array y, bool add, int threads) {
  const int down = conv.downsample(), up = conv.upsample();
  const quantized::Size in = size_of(x, conv.inputs() / (down * down));
  const quantized::Size out = size_of(y, conv.outputs() / (up * up));
  const quantized::Size size{in.height / down, in.width / down};
  require(size.height * down == in.height && size.width * down == in.width &&
              size.height * up == out.height && size.width * up == out.width,
          "the sizes of input and output do not match");
  require(y.writeable(), "the output cannot be written");
  const auto how = options(threads);
  const auto* from = static_cast<const float*>(x.data());
  auto* to = static_cast<float*>(y.mutable_data());
  const py::gil_scoped_release release;
  conv.forward(size, from, to, add, how);
}

quantized::PartialBlock make_block(const Weights& spatial, const Floats& part_scale,
                                   const Floats& spatial_multiplier, const Weights& expand,
                                   const Floats& scale, const Floats& expand_multiplier,
                                   const Weights& project, const Floats& project_multiplier,
                                   const Floats& project_bias, int limit, int hidden_limit,
                                   const std::string& simd) {
  require(spatial.ndim() == 4 && expand.ndim() == 2 && project.ndim() == 2, "weights have wrong shapes");
  return {{dimension(expand, 1), dimension(spatial, 0), dimension(expand, 0), limit, hidden_limit,
           span(part_scale), span(spatial), span(spatial_multiplier), span(scale), span(expand),
           span(expand_multiplier), span(project), span(project_multiplier), span(project_bias)},
          simd_of(simd)};
}

void block_forward(const quantized::PartialBlock& block, py::array x, const Floats& hidden_bias,
                   int threads) {
  const quantized::Size size = size_of(x, block.channels());
  require(hidden_bias.size() == block.hidden(), "the hidden bias does not have the layer's channels");
  require(x.writeable(), "the map cannot be written");
  const auto how = options(threads);
  auto* map = static_cast<float*>(x.mutable_data());
  const float* bias = hidden_bias.data();
  const py::gil_scoped_release release;
  block.forward(size, map, bias, how);
}

}  // namespace

void bind_quantized(py::module_& m) {
  py::class_<quantized::Conv>(m, "QuantizedConv")
      .def(py::init(&make_conv), py::arg("weight"), py::arg("scale"), py::arg("multiplier"), py::arg("bias"),
           py::arg("limit"), py::arg("downsample"), py::arg("upsample"), py::arg("simd") = "")
      .def("forward", &conv_forward, py::arg("x"), py::arg("y"), py::arg("add"), py::arg("threads"));
  py::class_<quantized::PartialBlock>(m, "QuantizedPartialBlock")
      .def(py::init(&make_block), py::arg("spatial"), py::arg("part_scale"), py::arg("spatial_multiplier"),
           py::arg("expand"), py::arg("scale"), py::arg("expand_multiplier"), py::arg("project"),
           py::arg("project_multiplier"), py::arg("project_bias"), py::arg("limit"), py::arg("hidden_limit"),
           py::arg("simd") = "")
      .def("forward", &block_forward, py::arg("x"), py::arg("hidden_bias"), py::arg("threads"));
}
