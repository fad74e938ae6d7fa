// Replays damaged context streams through every backend: truncations, changed bytes, noise. A plain main(),
// which tests/sanitize.sh builds and runs. Prints how many streams it tried, or dies.
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "context/context.h"
#include "fuzz/random_model.h"

namespace {

using namespace pycodec::context;

long tried = 0, survived = 0;

void attempt(const Model& m, const Biases& b, Shape s, const std::vector<uint8_t>& data, Options options) {
  // An exact copy on the heap, so that reading past it is seen.
  const std::vector<uint8_t> exact(data.begin(), data.end());
  std::vector<int32_t> out(s.size());
  ++tried;
  try {
    decode(m, b, s, exact, out, options);
    ++survived;
  } catch (const pycodec::CorruptStream&) {
  }
}

}  // namespace

int main() {
  for (const Head head : {Head::kCategorical, Head::kParametric}) {
    for (const Shape s :
         {Shape{3, 5, 9}, Shape{2, 37, 4}, Shape{1, 1, 1}, Shape{2, 4, 1}, Shape{16, 10, 24}}) {
      const Model m = random_model(head, 24, head == Head::kCategorical ? 6 : 2);
      std::vector<int32_t> bias0(s.planes * m.width), bias3(s.planes * m.outputs), symbols(s.size());
      for (int32_t& b : bias0) b = random_between(-5000, 20000);
      for (int32_t& b : bias3) b = random_between(-50000, 50000);
      for (int32_t& y : symbols) y = random_symbol(head);
      const Biases biases{bias0, bias3};
      for (pycodec::Simd simd : pycodec::simd_available()) {
        for (int threads : {1, 3}) {
          const Options options{threads, simd};
          const std::vector<uint8_t> data = encode(m, biases, s, symbols, options);
          std::vector<int32_t> decoded(s.size());
          decode(m, biases, s, data, decoded, options);
          if (decoded != symbols) {
            std::puts("round trip failed");
            return 1;
          }
          const size_t stride = data.size() * s.size() / 20000 + 1;  // fewer of the slow ones
          for (size_t i = 0; i < data.size(); i += stride) {
            attempt(m, biases, s, std::vector<uint8_t>(data.begin(), data.begin() + i), options);
            for (int value : {0x01, 0x80, 0xff}) {
              std::vector<uint8_t> damaged = data;
              damaged[i] ^= static_cast<uint8_t>(value);
              attempt(m, biases, s, damaged, options);
            }
          }
          for (int i = 0; i < 10; ++i) {
            std::vector<uint8_t> noise(random_between(0, 300));
            for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random_between(0, 255));
            if (!noise.empty()) noise[0] &= 0x11;
            attempt(m, biases, s, noise, options);
          }
        }
      }
    }
  }
  std::printf("%ld streams, %ld of them decoded to something\n", tried, survived);
}
