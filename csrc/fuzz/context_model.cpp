// Hostile arrays of a context model, as they come from weights files: a model with bytes of its arrays
// changed, and arrays of other lengths. Refused by prepare(), or a volume goes through it and back at every
// SIMD level.
#include "context/context.h"
#include "fuzz/random_model.h"
#include "fuzz/target.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;
using namespace pycodec::context;

// One change to an array: its length, or an element.
template <class T>
void change(Input& in, std::vector<T>& array) {
  const int kind = in.u8() % 8;
  if (kind == 0) {
    array.resize(in.u16() % 2048);
  } else if (!array.empty()) {
    const size_t at = in.u16() % array.size();
    array[at] = static_cast<T>(in.u32());
  }
}

// Width and outputs are those of two arrays, as csrc/bindings/context.cpp takes them.
void change_model(Input& in, Model& m) {
  switch (in.between(0, 17)) {
    case 0:
      return change(in, m.input_map);
    case 1:
      return change(in, m.bias1);
    case 2:
      return change(in, m.bias2);
    case 3:
      return change(in, m.residual);
    case 4:
      return change(in, m.exp_table);
    case 5:
      return change(in, m.table_radius);
    case 6:
      return change(in, m.table_frequencies);
    case 7:
      m.constants[in.u8() % 4] = in.u8();
      return;
    case 8:  // more for one class, less for its neighbour
      if (m.table_frequencies.size() > 1) {
        const size_t at = in.u16() % (m.table_frequencies.size() - 1);
        const int16_t more = static_cast<int16_t>(in.u8());
        m.table_frequencies[at] = static_cast<int16_t>(m.table_frequencies[at] - more);
        m.table_frequencies[at + 1] = static_cast<int16_t>(m.table_frequencies[at + 1] + more);
      }
      return;
    case 9:
      m.head = m.head == Head::kCategorical ? Head::kParametric : Head::kCategorical;
      return;
    default: {
      const int layer = in.between(0, 3);
      if (in.flag()) return change(in, m.weights[layer]);
      change(in, m.multipliers[layer]);
      m.width = static_cast<int>(m.multipliers[0].size());
      m.outputs = static_cast<int>(m.multipliers[3].size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const bool categorical = in.flag();
  Random random(in.u8());
  Model model = random_model(random, categorical ? Head::kCategorical : Head::kParametric,
                             4 * in.between(1, 2), categorical ? in.between(2, 9) : 2, 2);
  const Shape shape{in.between(1, 3), in.between(1, 4), in.between(1, 5)};
  const Simd simd = in.simd();
  const bool extreme_biases = in.flag();
  while (in.left() >= 4) change_model(in, model);
  try {
    model.prepare();
  } catch (const InvalidArgument&) {
    return 0;
  }
  Volume volume(random, model, shape);
  for (int32_t& b : volume.bias3) b = extreme_biases ? random.between(INT32_MIN, INT32_MAX) : b;
  std::vector<int32_t> decoded(shape.size()), values(shape.size() * model.outputs), other(values.size());
  const std::vector<uint8_t> data = encode(model, volume.biases(), shape, volume.symbols, {});
  decode(model, volume.biases(), shape, data, decoded, {1, simd});
  require(decoded == volume.symbols, "the round trip failed");
  tables(model, volume.biases(), shape, volume.symbols, values, {});
  tables(model, volume.biases(), shape, volume.symbols, other, {1, simd});
  require(values == other, "tables differ between SIMD levels");
  return 0;
}
