// Codes and decodes with rows of any probabilities, NaN and infinities among them, streams valid and hostile,
// at two SIMD levels and by the device's kernels.
#include <algorithm>

#include "base/checked.h"
#include "fuzz/random.h"
#include "fuzz/target.h"
#include "rans/device.h"
#include "rans/layout.h"
#include "rans/rans.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;

constexpr rans::Form kForm{rans::kPmfPrecision, false, false};

// A distribution, before some of its values are replaced by those of the input.
void fill_row(Random& random, size_t classes, float* row) {
  float left = 0.999f;
  for (size_t c = 0; c < classes; ++c) {
    row[c] = left * static_cast<float>(random.between(0, 1000)) / 1000;
    left -= row[c];
  }
}

struct Outcomes {
  Outcome decoded;
  std::string refused;  // an InvalidArgument
};

Outcomes decoded(const rans::Pmfs& pmfs, Bytes data, rans::Options options) {
  Outcomes found;
  try {
    found.decoded = outcome_of(pmfs.rows, [&](std::vector<int32_t>& out) {
      rans::decode(data, pmfs, {out.data(), rans::IntType::kI32, out.size()}, options);
    });
  } catch (const InvalidArgument& error) {
    found.refused = error.what();
  }
  return found;
}

Outcomes decoded_by_kernels(const rans::Pmfs& pmfs, Bytes data) {
  Outcomes found;
  try {
    found.decoded = outcome_of(pmfs.rows, [&](std::vector<int32_t>& out) {
      uint64_t lanes = 0;
      const std::vector<rans::DecodeRecord> chunks = rans::decode_records(data, kForm, pmfs.rows, lanes);
      std::vector<rans::ChunkFault> faults(chunks.size());
      rans::decode_chunks({data.data(), chunks.data(), chunks.size(), static_cast<int>(lanes),
                           kForm.precision, out.data(), faults.data()},
                          rans::PmfSource{pmfs.floats, pmfs.words, static_cast<uint32_t>(pmfs.classes)}, {});
      rans::check_faults(data, kForm, faults);
    });
  } catch (const InvalidArgument& error) {
    found.refused = error.what();
  }
  return found;
}

// Encodes at a level; empty where it is refused, and then `error` says why.
std::vector<uint8_t> encoded(const std::vector<int32_t>& symbols, const rans::Pmfs& pmfs, Simd simd,
                             std::string& error) {
  try {
    const rans::EncodedStream stream =
        rans::encode({symbols.data(), rans::IntType::kI32, symbols.size()}, pmfs, {1, simd});
    std::vector<uint8_t> data(stream.size());
    stream.copy_to(data.data(), 1);
    return data;
  } catch (const InvalidArgument& refused) {
    error = refused.what();
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const int widths[] = {1, 2, 3, 6, 16, 17, 33, 64, 300, 4096};
  const size_t classes = static_cast<size_t>(in.one_of(widths));
  const size_t rows = static_cast<size_t>(in.u8()) / (classes / 8 + 1);
  Random random(in.u8());
  const Simd simd = in.simd();
  const rans::Options options{static_cast<size_t>(in.threads()), simd};
  const int how = in.between(0, 3);
  const bool in_words = in.flag();

  std::vector<float> floats(rows * classes);
  for (size_t r = 0; r < rows; ++r) fill_row(random, classes, floats.data() + r * classes);
  for (int replaced = in.between(0, 3); replaced > 0 && rows > 0; --replaced) {
    const size_t at = in.u16() % floats.size();
    const uint32_t bits = in.u32();
    std::memcpy(&floats[at], &bits, sizeof bits);
  }
  std::vector<uint16_t> words;
  for (size_t i = 0; in_words && i < floats.size(); ++i) {
    words.push_back(static_cast<uint16_t>(rans::is_probability(floats[i]) ? 65535 * floats[i] : 65535));
  }
  const rans::Pmfs pmfs{in_words ? nullptr : floats.data(), in_words ? words.data() : nullptr, rows, classes};

  std::vector<int32_t> symbols;
  for (size_t i = 0; i < rows; ++i) symbols.push_back(random.between(0, static_cast<int>(classes) - 1));
  if (how == 3 && rows > 0) symbols[in.u8() % rows] = static_cast<int32_t>(in.u32());
  std::string error, other_error;
  std::vector<uint8_t> data = encoded(symbols, pmfs, Simd::kScalar, error);
  require(data == encoded(symbols, pmfs, simd, other_error) && error == other_error,
          "encoders of two SIMD levels differ");
  if (!data.empty() && in.left() == 0) {
    require(decoded(pmfs, data, {1, simd}).decoded.symbols == symbols, "the round trip failed");
  }
  if (how == 0) {
    data = in.rest();
  } else if (how == 1 && rows > 0) {  // checksums are right, nothing else
    const uint64_t lanes[] = {1, 4, 8, 32};
    const uint64_t lane_count = in.one_of(lanes), chunk = lane_count == 32 ? 32 * in.between(1, 4) : rows;
    std::vector<rans::ChunkSizes> chunks;
    size_t payload = 0;
    for (uint64_t c = 0; c < ceil_div(rows, chunk); ++c) {
      const uint64_t word_count = in.u8();
      chunks.push_back({word_count, in.u8(), 0, 0});
      payload += 4 * lane_count + 2 * word_count;
    }
    data = rans::write_stream(kForm, lane_count, rows, chunk, chunks, in.array<uint8_t>(payload));
  } else {
    damage(in, data);
  }
  const Outcomes expected = decoded(pmfs, data, {1, Simd::kScalar});
  const Outcomes other = decoded(pmfs, data, options), kernels = decoded_by_kernels(pmfs, data);
  require(other.decoded.same_as(expected.decoded) && other.refused == expected.refused, "SIMD levels differ");
  if (expected.refused.empty() && kernels.refused.empty()) {
    require(kernels.decoded.agrees_with(expected.decoded), "the device's kernels differ");
  }
  return 0;
}
