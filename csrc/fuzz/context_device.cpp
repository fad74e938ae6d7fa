// Decodes hostile context streams by the device's kernels, as loops and with memory exactly as large as it
// has to be: the CPU's decoder has to agree.
#include "context/context.h"
#include "context/device.h"
#include "fuzz/kernel_decode.h"
#include "fuzz/random_model.h"
#include "fuzz/target.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;
using namespace pycodec::context;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const bool parametric = in.flag();
  Random random(in.u8());
  Model model = random_model(random, parametric ? Head::kParametric : Head::kCategorical,
                             4 * in.between(1, 3), parametric ? 2 : in.between(2, 9), 5);
  model.prepare();
  const bool narrow = in.flag();
  const Shape shape = narrow ? Shape{in.between(1, 2), in.between(1, 40), in.between(1, 2)}
                             : Shape{in.between(1, 3), in.between(1, 4), in.between(1, 5)};
  const Volume volume(random, model, shape);
  const bool any = in.flag();
  std::vector<uint8_t> data = encode(model, volume.biases(), shape, volume.symbols, {});
  if (any) {
    data = in.rest();
  } else {
    damage(in, data);
  }
  const Outcome expected = outcome_of(
      shape.size(), [&](std::vector<int32_t>& out) { decode(model, volume.biases(), shape, data, out, {}); });
  const Outcome found = outcome_of(shape.size(), [&](std::vector<int32_t>& out) {
    decode_by_kernels(
        model, volume, data, [](const auto& job, const auto& there) { decode_planes(job, there, {}); }, out);
  });
  require(found.agrees_with(expected), "the device's kernels differ");
  return 0;
}
