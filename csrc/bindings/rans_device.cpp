// Binds bulk coding on a device for pycodec/ops/device_rans.py, which allocates all memory of the device,
// checks types and sizes, and words no bytes itself.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/device_bytes.h"
#include "bindings/bindings.h"
#include "bindings/device.h"
#include "rans/device.h"

namespace py = pybind11;
namespace rans = pycodec::rans;
using pycodec::at_address;
using pycodec::Bytes;
using pycodec::InvalidArgument;
using pycodec::queue_of;

namespace {

// (address, type name), or None.
rans::IntView view_of(const py::object& array) {
  if (array.is_none()) return {nullptr, rans::IntType::kI32};
  const auto pair = array.cast<std::pair<uint64_t, std::string>>();
  const std::pair<const char*, rans::IntType> types[] = {
      {"int8", rans::IntType::kI8},   {"int16", rans::IntType::kI16}, {"int32", rans::IntType::kI32},
      {"int64", rans::IntType::kI64}, {"uint8", rans::IntType::kU8},
  };
  for (const auto& [name, type] : types) {
    if (pair.second == name) return {at_address<const void>(pair.first), type};
  }
  throw InvalidArgument("an array of " + pair.second + "; expected int8 to int64 or uint8");
}

// Tables or rows of probabilities on a device.
struct Source {
  std::shared_ptr<rans::Tables> tables;  // null: rows of probabilities
  std::variant<rans::TableSource, rans::PmfSource> kernel;

  rans::Form form() const {
    if (!tables) return {rans::kPmfPrecision, false, false};
    return {tables->precision(), tables->has_shifts(), tables->has_escapes()};
  }
};

Source table_source(std::shared_ptr<rans::Tables> tables, uint64_t flat, const py::object& indexes) {
  rans::TableSource source{
      rans::tables_at(tables->view(), tables->classes(), at_address<const uint8_t>(flat)), tables->classes(),
      tables->has_shifts(), tables->has_escapes(), view_of(indexes)};
  return {std::move(tables), source};
}

Source pmf_source(uint64_t floats, uint64_t words, uint32_t classes) {
  if (classes < 1 || classes > rans::kMaxPmfClasses) {
    throw InvalidArgument("pmfs has " + std::to_string(classes) + " classes; expected 1 to " +
                          std::to_string(rans::kMaxPmfClasses));
  }
  return {nullptr,
          rans::PmfSource{at_address<const float>(floats), at_address<const uint16_t>(words), classes}};
}

void classify(const py::object& queue, const Source& source, const py::object& symbols, uint64_t count,
              uint64_t prepared, uint64_t totals) {
  const rans::ClassifyJob job{view_of(symbols), count, at_address<rans::Prepared>(prepared),
                              at_address<rans::Totals>(totals)};
  std::visit([&](const auto& kernel) { rans::classify(job, kernel, queue_of(queue)); }, source.kernel);
}

py::tuple choose(uint64_t cost, uint64_t count) {
  const uint64_t rest = std::min(count % rans::kSampleStride, rans::kSampleBlock);
  const uint64_t sampled =
      count <= rans::kSampleAll ? count : count / rans::kSampleStride * rans::kSampleBlock + rest;
  const rans::Choices choices = rans::choose(cost, sampled, count);
  return py::make_tuple(choices.lanes, choices.chunk_symbols);
}

void encode_chunks(const py::object& queue, const Source& source, const py::object& symbols,
                   uint64_t prepared, uint64_t count, uint64_t chunk_symbols, int lanes, uint64_t words,
                   uint64_t raw, uint64_t raw_room, uint64_t escapes, uint64_t escape_room,
                   uint64_t results) {
  const rans::EncodeJob job{view_of(symbols),
                            at_address<const rans::Prepared>(prepared),
                            count,
                            chunk_symbols,
                            lanes,
                            source.form().precision,
                            at_address<uint16_t>(words),
                            at_address<uint32_t>(raw),
                            raw_room,
                            at_address<uint8_t>(escapes),
                            escape_room,
                            at_address<rans::ChunkResult>(results)};
  rans::encode_chunks(job, std::get_if<rans::TableSource>(&source.kernel), queue_of(queue));
}

// Where the payload's parts lie, cut into pieces for Gather, and the sizes write_stream wants: from a copy of
// the results, and the addresses of the rooms.
py::tuple payload_pieces(const Array<uint8_t>& results, uint64_t count, uint64_t chunk_symbols, int lanes,
                         uint64_t words, uint64_t raw, uint64_t raw_room, uint64_t escapes,
                         uint64_t escape_room, uint64_t results_address) {
  const size_t chunks = static_cast<size_t>(results.size()) / sizeof(rans::ChunkResult);
  const auto* chunk = reinterpret_cast<const rans::ChunkResult*>(results.data());
  std::vector<pycodec::Piece> pieces;
  std::vector<uint64_t> sizes;
  uint64_t to = 0;
  const auto append = [&](uint64_t from, uint64_t bytes) { pycodec::append_pieces(pieces, from, bytes, to); };
  for (size_t c = 0; c < chunks; ++c, ++chunk) {
    const uint64_t end = std::min(count, (c + 1) * chunk_symbols);
    append(results_address + c * sizeof(rans::ChunkResult) + offsetof(rans::ChunkResult, states), 4 * lanes);
    append(words + 2 * (end - chunk->words), 2 * chunk->words);
    append(raw + c * raw_room * 4, chunk->raw);
    append(escapes + c * escape_room, chunk->escapes);
    for (uint64_t size : {chunk->words, chunk->tail, chunk->raw, chunk->escapes}) sizes.push_back(size);
  }
  return py::make_tuple(pycodec::array_of(pieces),
                        Array<uint64_t>(static_cast<py::ssize_t>(sizes.size()), sizes.data()), to);
}

py::bytes write_stream(const Source& source, uint64_t lanes, uint64_t count, uint64_t chunk_symbols,
                       const Array<uint64_t>& sizes, const Array<uint8_t>& payload) {
  const auto* chunks = reinterpret_cast<const rans::ChunkSizes*>(sizes.data());
  const Bytes bytes(payload.data(), static_cast<size_t>(payload.size()));
  std::vector<uint8_t> out;
  {
    const py::gil_scoped_release release;
    out = rans::write_stream(source.form(), lanes, count, chunk_symbols,
                             {chunks, static_cast<size_t>(sizes.size()) / 4}, bytes);
  }
  return py::bytes(reinterpret_cast<const char*>(out.data()), out.size());
}

Bytes bytes_of(const Array<uint8_t>& data) { return {data.data(), static_cast<size_t>(data.size())}; }

py::tuple decode_records(const Source& source, const Array<uint8_t>& data, uint64_t count) {
  uint64_t lanes;
  std::vector<rans::DecodeRecord> records;
  {
    const py::gil_scoped_release release;
    records = rans::decode_records(bytes_of(data), source.form(), count, lanes);
  }
  const auto* numbers = reinterpret_cast<const uint8_t*>(records.data());
  const auto size = static_cast<py::ssize_t>(records.size() * sizeof(rans::DecodeRecord));
  return py::make_tuple(Array<uint8_t>(size, numbers), records.size(), lanes);
}

void decode_chunks(const py::object& queue, const Source& source, uint64_t data, uint64_t records,
                   uint64_t chunks, int lanes, uint64_t symbols, uint64_t faults) {
  const rans::DecodeJob job{at_address<const uint8_t>(data),
                            at_address<const rans::DecodeRecord>(records),
                            chunks,
                            lanes,
                            source.form().precision,
                            at_address<int32_t>(symbols),
                            at_address<rans::ChunkFault>(faults)};
  std::visit([&](const auto& kernel) { rans::decode_chunks(job, kernel, queue_of(queue)); }, source.kernel);
}

void check_faults(const Source& source, const Array<uint8_t>& data, const Array<uint8_t>& faults) {
  rans::check_faults(bytes_of(data), source.form(),
                     {reinterpret_cast<const rans::ChunkFault*>(faults.data()),
                      static_cast<size_t>(faults.size()) / sizeof(rans::ChunkFault)});
}

py::bytes flat_tables(const rans::Tables& tables) {
  const std::vector<uint8_t> flat = rans::flat_tables(tables);
  return py::bytes(reinterpret_cast<const char*>(flat.data()), flat.size());
}

}  // namespace

void bind_rans_device(py::module_& m) {
  py::class_<Source>(m, "DeviceRansSource");
  m.attr("DEVICE_CHUNK_RESULT_BYTES") = sizeof(rans::ChunkResult);
  m.attr("DEVICE_CHUNK_FAULT_BYTES") = sizeof(rans::ChunkFault);
  m.def("device_rans_flat_tables", &flat_tables, "What a device needs of a set of tables.");
  m.def("device_rans_tables", &table_source, "Tables whose flat form lies at an address.");
  m.def("device_rans_pmfs", &pmf_source, "Rows of probabilities at an address.");
  m.def("device_rans_classify", &classify);
  m.def("device_rans_choose", &choose, "Lanes and symbols of a chunk, from the sampled cost.");
  m.def("device_rans_encode_chunks", &encode_chunks);
  m.def("device_rans_pieces", &payload_pieces);
  m.def("device_rans_write", &write_stream);
  m.def("device_rans_records", &decode_records,
        "The chunks of a stream whose layout and checksums are right.");
  m.def("device_rans_decode_chunks", &decode_chunks);
  m.def("device_rans_check", &check_faults, "Raises what the first fault of a chunk means.");
}
