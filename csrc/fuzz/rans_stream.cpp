// Decodes hostile rANS streams with any tables, lanes, chunks, raw bits and escapes, their checksums wrong or
// right: by the scalar code, at another SIMD level, step by step and by the device's kernels, which must
// agree.
#include <algorithm>

#include "fuzz/rans_cases.h"
#include "fuzz/target.h"
#include "rans/rans.h"

namespace {

using namespace pycodec;
using namespace pycodec::fuzz;

constexpr uint64_t kLanes[] = {1, 4, 8, 32};

struct Call {
  const TableSet& set;
  const rans::Tables& tables;
  std::vector<int32_t> indexes;  // empty: of one table
  size_t count;

  rans::IntArray index_array() const { return {indexes.data(), rans::IntType::kI32, indexes.size()}; }
};

// Sizes and payload as the input says, and nobody wrote; the checksums are right.
Parts invented(Input& in, const Call& call) {
  const uint64_t lanes = in.one_of(kLanes);
  Parts parts{lanes, call.count, lanes == 32 ? 32 * in.between(1, 20) : call.count, {}, {}};
  for (uint64_t c = 0; c < ceil_div(call.count, parts.chunk_symbols); ++c) {
    const uint64_t words = in.u8(), tail = in.u8();
    const rans::Form form = form_of(call.tables);
    parts.chunks.push_back({words, tail, form.has_raw ? in.u8() : 0u, form.has_escapes ? in.u8() : 0u});
  }
  parts.payload = in.array<uint8_t>(parts.payload_size());
  return parts;
}

// What an encoder wrote, damaged behind its checksums; in `symbols` what it stood for, if it was not.
Parts damaged(Input& in, const Call& call, std::vector<int32_t>& symbols) {
  const uint64_t lanes = in.one_of(kLanes);
  const uint64_t chunk = lanes == 32 ? 32 * in.between(1, 20) : call.count;
  Random random(in.u16());
  for (size_t i = 0; i < call.count; ++i) {
    const size_t table = call.indexes.empty() ? 0 : static_cast<size_t>(call.indexes[i]);
    symbols.push_back(random_symbol(random, call.tables, table));
  }
  Parts parts = encoded_parts(call.set, call.indexes, symbols, lanes, chunk);
  require(parts.count == call.count, "symbols without a class");
  const bool sizes = in.flag();
  if (in.left() > 0) symbols.clear();
  if (sizes && in.left() >= 3) {
    rans::ChunkSizes& c = parts.chunks[in.u8() % parts.chunks.size()];
    uint64_t* fields[] = {&c.words, &c.tail, &c.raw, &c.escapes};
    const int field = in.between(0, 3);
    const bool has[] = {true, lanes > 1, form_of(call.tables).has_raw, form_of(call.tables).has_escapes};
    if (has[field]) *fields[field] = in.u8();
    parts.payload.resize(parts.payload_size());
  }
  while (in.left() >= 3) {
    const size_t at = in.u16() % parts.payload.size();
    parts.payload[at] = static_cast<uint8_t>(parts.payload[at] ^ in.u8());
  }
  return parts;
}

Outcome decoded(const Call& call, Bytes data, Simd simd, size_t threads) {
  return outcome_of(call.count, [&](std::vector<int32_t>& out) {
    rans::decode(data, call.tables, call.index_array(), {out.data(), rans::IntType::kI32, out.size()},
                 {threads, simd});
  });
}

Outcome decoded_in_steps(const Call& call, Bytes data, Simd simd, size_t step) {
  return outcome_of(call.count, [&](std::vector<int32_t>& out) {
    rans::StepDecoder decoder(data, call.tables, simd);
    if (decoder.count() != call.count) throw CorruptStream("another number of symbols");
    for (size_t at = 0; at < call.count; at += step) {
      const size_t n = std::min(step, call.count - at);
      rans::IntArray indexes = call.index_array();
      if (!call.indexes.empty()) indexes = {call.indexes.data() + at, rans::IntType::kI32, n};
      decoder.pull(indexes, {out.data() + at, rans::IntType::kI32, n});
    }
  });
}

Outcome decoded_by_kernels(const Call& call, Bytes data) {
  return outcome_of(call.count, [&](std::vector<int32_t>& out) {
    uint64_t lanes = 0;
    const std::vector<rans::DecodeRecord> chunks =
        rans::decode_records(data, form_of(call.tables), call.count, lanes);
    std::vector<rans::ChunkFault> faults(chunks.size());
    rans::decode_chunks({data.data(), chunks.data(), chunks.size(), static_cast<int>(lanes),
                         call.tables.precision(), out.data(), faults.data()},
                        call.set.source(call.indexes), {});
    rans::check_faults(data, form_of(call.tables), faults);
  });
}

// Whether symbols fit the type or not is found out while they are decoded.
template <class T>
void decode_to(const Call& call, Bytes data, rans::IntType type, Simd simd, const Outcome& expected) {
  std::vector<T> out(call.count);
  try {
    rans::decode(data, call.tables, call.index_array(), {out.data(), type, out.size()}, {1, simd});
    require(std::equal(out.begin(), out.end(), expected.symbols.begin(), expected.symbols.end()),
            "other symbols in another type");
  } catch (const CorruptStream&) {
    require(!expected.error.empty(), "a refusal in another type only");
  } catch (const InvalidArgument&) {  // does not fit
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  const TableSet& set = set_of(in.u8());
  const rans::Tables& tables = set.tables;
  Call call{set, tables, {}, in.u8() % 96 * (1u + in.u8() % 4)};
  const int first = in.u8(), stride = in.u8();
  for (size_t i = 0; tables.size() > 1 && i < call.count; ++i) {
    call.indexes.push_back(static_cast<int32_t>((first + i * stride) % tables.size()));
  }
  const int how = in.between(0, 3);
  const Simd simd = in.simd();
  const int threads = in.threads();
  const uint8_t choice = in.u8();

  std::vector<int32_t> symbols;
  std::vector<uint8_t> data;
  if (how == 0 || call.count == 0) {
    data = in.rest();
  } else {
    data = (how == 1 ? invented(in, call) : damaged(in, call, symbols)).stream(form_of(tables));
  }
  data.shrink_to_fit();  // so that reading past it is seen
  const Outcome expected = decoded(call, data, Simd::kScalar, 1);
  require(symbols.empty() || symbols == expected.symbols, "the round trip failed");
  require(decoded(call, data, simd, static_cast<size_t>(threads)).same_as(expected),
          "SIMD levels or threads differ");
  switch (choice % 5) {
    case 0:
      require(decoded_in_steps(call, data, simd, 1 + choice / 8).agrees_with(expected), "steps differ");
      break;
    case 1:
      require(decoded_by_kernels(call, data).agrees_with(expected), "the device's kernels differ");
      break;
    case 2:
      decode_to<int8_t>(call, data, rans::IntType::kI8, simd, expected);
      decode_to<uint16_t>(call, data, rans::IntType::kU16, simd, expected);
      break;
    case 3:
      decode_to<int64_t>(call, data, rans::IntType::kI64, simd, expected);
      decode_to<uint32_t>(call, data, rans::IntType::kU32, simd, expected);
      break;
    default:
      decode_to<uint8_t>(call, data, rans::IntType::kU8, simd, expected);
      decode_to<int16_t>(call, data, rans::IntType::kI16, simd, expected);
  }
  return 0;
}
