// The stream around its substreams: how many there are, and where their parts lie. See docs/context-model.md.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.h"
#include "context/arithmetic.h"

namespace pycodec::context {

constexpr int kMaxLanes = 32;
constexpr int kMaxSubstreams = 16;

struct StreamLayout {
  PYCODEC_HD int substreams() const { return 1 << log_substreams; }
  PYCODEC_HD int lanes() const { return 1 << log_lanes; }

  int log_substreams, log_lanes;
};

// The encoder's choice for a payload of about so many bytes.
StreamLayout choose_layout(uint64_t payload_bytes, int planes);

struct SubstreamSizes {
  uint64_t words, escape_bytes;
};
// What comes before the substreams.
std::vector<uint8_t> stream_head(StreamLayout layout, Span<const SubstreamSizes> sizes);

struct SubstreamParts {
  Bytes states, words, escapes;
};
// The substreams of a stream for so many planes; throws CorruptStream.
std::vector<SubstreamParts> open_stream(int planes, Bytes data, StreamLayout& layout);

}  // namespace pycodec::context
