// Decodes hostile streams of the context model, both heads: by the scalar code, at another SIMD level and
// with several threads, which must agree to the word.
#include <array>
#include <memory>

#include "context/context.h"
#include "context/layout.h"
#include "fuzz/random_model.h"
#include "fuzz/target.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;
using namespace pycodec::context;

// The model of a number: made once. Even ones are categorical.
const Model& model_of(uint8_t seed) {
  static std::array<std::unique_ptr<Model>, 16> made;
  std::unique_ptr<Model>& model = made[seed % made.size()];
  if (!model) {
    Random random(seed % made.size());
    const int widths[] = {4, 4, 4, 8};
    const bool categorical = seed % 2 == 0;
    model = std::make_unique<Model>(random_model(random, categorical ? Head::kCategorical : Head::kParametric,
                                                 random.one_of(widths), categorical ? 2 + seed % 7 : 2));
    model->prepare();
  }
  return *model;
}

// Parts as the input says, that nobody wrote.
std::vector<uint8_t> invented(Input& in) {
  const StreamLayout layout{in.between(0, 4), in.between(0, 5)};
  std::vector<SubstreamSizes> sizes;
  size_t payload = 0;
  for (int s = 0; s < layout.substreams(); ++s) {
    sizes.push_back({in.u8(), in.u8() % 16u});
    payload += 4 * static_cast<size_t>(layout.lanes()) + 2 * sizes[s].words + sizes[s].escape_bytes;
  }
  std::vector<uint8_t> data = stream_head(layout, sizes);
  const std::vector<uint8_t> bytes = in.array<uint8_t>(payload);
  data.insert(data.end(), bytes.begin(), bytes.end());
  if (in.flag()) {  // states that may be: the upper half of each is not 0
    size_t at = data.size() - payload;
    for (const SubstreamSizes& s : sizes) {
      for (int lane = 0; lane < layout.lanes(); ++lane) data[at + 4 * static_cast<size_t>(lane) + 2] |= 1;
      at += 4 * static_cast<size_t>(layout.lanes()) + 2 * s.words + s.escape_bytes;
    }
  }
  return data;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const Model& model = model_of(in.u8());
  const bool flat = in.flag();  // a large plane, or several small ones
  const Shape shape = flat ? Shape{in.between(0, 2), in.between(0, 24), in.between(0, 2)}
                           : Shape{in.between(0, 4), in.between(0, 3), in.between(0, 4)};
  Random random(in.u8());
  const Volume volume(random, model, shape);
  const Simd simd = in.simd();
  const int threads = in.threads();
  const int how = in.between(0, 2);

  const auto decoded = [&](Bytes data, Options options) {
    return outcome_of(shape.size(), [&](std::vector<int32_t>& out) {
      decode(model, volume.biases(), shape, data, out, options);
    });
  };
  std::vector<uint8_t> data;
  if (how == 0) {
    data = in.rest();
  } else if (how == 1) {
    data = invented(in);
  } else {
    data = encode(model, volume.biases(), shape, volume.symbols, {threads, simd});
    if (in.left() == 0) require(decoded(data, {1, simd}).symbols == volume.symbols, "the round trip failed");
    damage(in, data);
  }
  data.shrink_to_fit();  // so that reading past it is seen
  require(decoded(data, {threads, simd}).same_as(decoded(data, {})), "SIMD levels or threads differ");
  return 0;
}
