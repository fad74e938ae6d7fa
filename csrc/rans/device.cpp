// The host's side of bulk coding on a device: what is uploaded, what faults mean, and the kernels as loops.
#include "rans/device.h"

#include <string>

#include "base/bytes.h"
#include "rans/launch.h"

namespace pycodec::rans {
namespace {

template <class T>
void append(std::vector<uint8_t>& out, const T* data, size_t count) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + count * sizeof(T));
}

}  // namespace

std::vector<uint8_t> flat_tables(const Tables& tables) {
  const TableView view = tables.view();
  std::vector<uint8_t> out;
  append(out, view.tables, view.size);
  append(out, view.packed, tables.classes());
  append(out, view.costs, tables.classes());
  append(out, view.buckets, static_cast<size_t>(view.size) << view.bucket_bits);
  out.resize((out.size() + 15) / 16 * 16);
  return out;
}

void classify(const ClassifyJob& job, const TableSource& source, const Queue& queue) {
  run(Classify<TableSource>{job, source}, ceil_div(job.count, kWarpLanes), queue);
}
void classify(const ClassifyJob& job, const PmfSource& source, const Queue& queue) {
  run(Classify<PmfSource>{job, source}, ceil_div(job.count, kWarpLanes), queue);
}

void encode_chunks(const EncodeJob& job, const TableSource* tables, const Queue& queue) {
  EncodeChunk body{job, {}, false};
  if (tables != nullptr) {
    body.source = *tables;
    body.has_side_data = tables->has_shifts || tables->has_escapes;
  }
  run(body, ceil_div(job.count, job.chunk_symbols), queue);
}

void decode_chunks(const DecodeJob& job, const TableSource& source, const Queue& queue) {
  run(DecodeChunk<TableSource>{job, source}, job.chunk_count, queue);
}
void decode_chunks(const DecodeJob& job, const PmfSource& source, const Queue& queue) {
  run(DecodeChunk<PmfSource>{job, source}, job.chunk_count, queue);
}

std::vector<DecodeRecord> decode_records(Bytes data, const Form& form, uint64_t count, uint64_t& lanes) {
  const StreamView stream(data, form);
  if (stream.count() != count) {
    throw CorruptStream("the stream holds " + std::to_string(stream.count()) + " symbols; expected " +
                        std::to_string(count));
  }
  lanes = stream.lanes();
  std::vector<DecodeRecord> records;
  for (const ChunkView& chunk : stream.chunks()) {
    stream.check_crc(chunk);
    if (chunk.words.size() > UINT32_MAX) {
      throw InvalidArgument("a chunk of more than 2^31 words; only the CPU decodes it");
    }
    records.push_back({chunk.first_symbol, chunk.symbols, chunk.tail, chunk.offset, chunk.words.size() / 2,
                       chunk.raw.size(), chunk.escapes.size()});
  }
  return records;
}

void check_faults(Bytes data, const Form& form, Span<const ChunkFault> faults) {
  size_t c = 0;
  while (c < faults.size() && faults[c].kind == ChunkFault::kNone) ++c;
  if (c == faults.size()) return;
  const ChunkFault& fault = faults[c];
  const std::string position = std::to_string(fault.symbol);
  if (fault.kind == ChunkFault::kBadIndex) {
    throw InvalidArgument("indexes[" + position + "] names no table; expected a number below their count");
  }
  if (fault.kind == ChunkFault::kBadPmfs) {
    throw InvalidArgument("pmfs[" + position +
                          "] is no distribution; expected probabilities from 0 to 1 that sum to 1");
  }
  const StreamView stream(data, form);
  const ChunkView& chunk = stream.chunks().at(c);
  const auto offset = [&](Bytes part) {
    return chunk.offset + static_cast<size_t>(part.data() - chunk.states.data());
  };
  const std::string symbol = std::to_string(fault.symbol - chunk.first_symbol);
  const std::string lane = std::to_string(fault.detail);
  const char* wrong_tables = "; the data is damaged, or was written with other tables";
  switch (fault.kind) {
    case ChunkFault::kBadState:
      chunk.fail(chunk.offset + 4 * fault.detail, "the state of lane " + lane + " is below 2^16");
    case ChunkFault::kWordsEnd:
      chunk.fail(offset(chunk.raw), "its words end at symbol " + symbol + wrong_tables);
    case ChunkFault::kWordsLeft:
      chunk.fail(offset(chunk.words) + 2 * fault.detail,
                 std::to_string(chunk.words.size() / 2 - fault.detail) + " of its words are not used" +
                     wrong_tables);
    case ChunkFault::kEndState:
      chunk.fail(chunk.offset + 4 * fault.detail,
                 "lane " + lane + " does not end in the state it was started with" + wrong_tables);
    case ChunkFault::kTailState:
      chunk.fail(chunk.offset, "the state of its tail is below 2^16");
    case ChunkFault::kTailWordsEnd:
      chunk.fail(chunk.offset, "the words of its tail end at symbol " + symbol + wrong_tables);
    case ChunkFault::kTailEnd:
      chunk.fail(chunk.offset,
                 std::string("its tail does not end in the state it was started with") + wrong_tables);
    case ChunkFault::kRawEnds:
      chunk.fail(offset(chunk.escapes), std::string("its raw bits end early") + wrong_tables);
    case ChunkFault::kRawLeft:
      chunk.fail(offset(chunk.raw), std::string("raw bits that belong to no symbol") + wrong_tables);
    case ChunkFault::kEscapesDamaged:
      chunk.fail(offset(chunk.escapes),
                 "the escape of symbol " + symbol + " is no varint or is missing" + wrong_tables);
    case ChunkFault::kEscapeRange:
      chunk.fail(offset(chunk.escapes), "symbol " + symbol + " is an escaped symbol beyond int32");
    default:
      chunk.fail(offset(chunk.escapes), std::string("escapes that belong to no symbol") + wrong_tables);
  }
}

}  // namespace pycodec::rans
