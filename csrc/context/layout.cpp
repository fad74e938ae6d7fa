#include "context/layout.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/checked.h"

namespace pycodec::context {
namespace {

int log2_at_most(uint64_t value, int limit) {
  return value == 0 ? 0 : std::min(floor_log2(value), floor_log2(static_cast<uint64_t>(limit)));
}

}  // namespace

StreamLayout choose_layout(uint64_t payload_bytes, int planes) {
  const int log_substreams = log2_at_most(payload_bytes / 2048, std::min(kMaxSubstreams, planes));
  return {log_substreams, log2_at_most((payload_bytes >> log_substreams) / 4096, kMaxLanes)};
}

std::vector<uint8_t> stream_head(StreamLayout layout, Span<const SubstreamSizes> sizes) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(layout.log_substreams | layout.log_lanes << 4));
  for (const SubstreamSizes& s : sizes) {
    out.varint(s.words);
    out.varint(s.escape_bytes);
  }
  return std::move(out.bytes());
}

std::vector<SubstreamParts> open_stream(int planes, Bytes data, StreamLayout& layout) {
  ByteReader in(data);
  const uint8_t head = in.u8("the layout of the context stream");
  layout = {head & 15, head >> 4};
  if (layout.log_substreams > floor_log2(kMaxSubstreams) || layout.substreams() > planes ||
      layout.log_lanes > floor_log2(kMaxLanes)) {
    throw CorruptStream("context stream: impossible layout byte " + std::to_string(head));
  }
  std::vector<SubstreamSizes> sizes(layout.substreams());
  for (size_t s = 0; s < sizes.size(); ++s) {
    sizes[s].words = in.varint("the lengths of the context stream");
    sizes[s].escape_bytes = in.varint("the lengths of the context stream");
    if (sizes[s].words > data.size() || sizes[s].escape_bytes > data.size()) {
      throw CorruptStream("context substream " + std::to_string(s) +
                          " is said to be longer than the whole stream");
    }
  }
  std::vector<SubstreamParts> parts;
  for (size_t s = 0; s < sizes.size(); ++s) {
    const std::string name = "context substream " + std::to_string(s);
    const Bytes states = in.take(4u << layout.log_lanes, name.c_str());
    const Bytes words = in.take(2 * sizes[s].words, name.c_str());
    parts.push_back({states, words, in.take(sizes[s].escape_bytes, name.c_str())});
  }
  if (in.remaining() != 0) in.fail("the context stream should end here");
  return parts;
}

}  // namespace pycodec::context
