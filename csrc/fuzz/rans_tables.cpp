// Builds tables from hostile arrays, as they come from weights files: refused, or every slot has one class,
// every class its symbols, and a round trip with them works.
#include <algorithm>

#include "fuzz/random.h"
#include "fuzz/rans_cases.h"
#include "fuzz/target.h"
#include "rans/rans.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;

void check_slots(const rans::Tables& tables) {
  for (size_t t = 0; t < tables.size(); ++t) {
    uint32_t slot = 0;
    for (uint32_t cls = 0; slot < 1u << tables.precision(); ++cls) {
      const uint32_t packed = tables.packed(t, cls), end = slot + rans::class_freq(packed);
      require(rans::class_start(packed) == slot && end > slot, "classes do not follow one another");
      require(tables.find(t, slot) == cls && tables.find(t, end - 1) == cls, "a slot of another class");
      if (!tables.is_escape(t, cls)) {
        const int64_t symbol = tables.coarse_value(t, cls) * (int64_t{1} << tables.shift(t));
        require(symbol == static_cast<int32_t>(symbol), "a class beyond int32");
        require(tables.classify(t, static_cast<int32_t>(symbol)).cls == cls, "a symbol of another class");
      }
      slot = end;
    }
  }
}

void round_trip(const rans::Tables& tables, int seed, Simd simd) {
  Random random(static_cast<uint64_t>(seed));
  std::vector<int32_t> symbols, indexes;
  for (size_t i = 0; i < 40; ++i) {
    const size_t table = i % tables.size();
    if (tables.size() > 1) indexes.push_back(static_cast<int32_t>(table));
    symbols.push_back(random_symbol(random, tables, table));
  }
  const rans::IntArray index_array{indexes.data(), rans::IntType::kI32, indexes.size()};
  const rans::IntArray symbol_array{symbols.data(), rans::IntType::kI32, symbols.size()};
  const rans::EncodedStream stream = rans::encode(symbol_array, tables, index_array, {1, simd});
  std::vector<uint8_t> data(stream.size());
  stream.copy_to(data.data(), 1);
  std::vector<int32_t> decoded(symbols.size());
  rans::decode(data, tables, index_array, {decoded.data(), rans::IntType::kI32, decoded.size()}, {1, simd});
  require(decoded == symbols, "the round trip failed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const int precision = in.u8() % 20, seed = in.u8();
  const Simd simd = in.simd();
  const bool zigzag = in.flag(), repaired = in.flag();
  const size_t count = in.u8() % (in.u8() % 16 == 0 ? 80 : 8);
  std::vector<uint8_t> shifts = in.array<uint8_t>(count), escapes = in.array<uint8_t>(count);
  const std::vector<int32_t> offsets = in.array<int32_t>(count);
  std::vector<int32_t> sizes;
  std::vector<uint16_t> freqs;
  if (repaired) {  // sizes and frequencies that fit one another
    for (uint8_t& shift : shifts) shift %= 9;
    for (uint8_t& escape : escapes) escape %= 2;
    const int bits = std::clamp(precision, 8, 14);
    Random random(in.u8());
    for (size_t t = 0; t < count; ++t) {
      sizes.push_back(std::clamp<int32_t>(in.u16() % 512 >> in.u8() % 9, 1, 1 << (bits - 1)));
      append_freqs(random, sizes[t], bits, freqs);
    }
  } else {
    sizes = in.array<int32_t>(count);
    freqs = in.array<uint16_t>(in.left() / 2);
  }
  try {
    const rans::Tables tables({precision, zigzag, freqs, sizes, offsets, shifts, escapes});
    check_slots(tables);
    round_trip(tables, seed, simd);
  } catch (const InvalidArgument&) {
  }
  return 0;
}
