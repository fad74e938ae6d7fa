// Memory that a thread keeps from one use to the next: it comes with pages that need not be made first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/huge_pages.h"

namespace pycodec {

// An uninitialised array, for as long as this lives, of numbers or what is as simple.
template <class T>
class Kept {
 public:
  explicit Kept(size_t count) : block_(take(count * sizeof(T))) {}
  ~Kept() { give_back(std::move(block_)); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  T* data() const { return reinterpret_cast<T*>(block_.lines.get()); }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  struct Block {
    std::unique_ptr<Line[]> lines;
    size_t count = 0;
  };
  static_assert(alignof(T) <= alignof(Line));

  static constexpr size_t kMostLines = (size_t{8} << 20) / sizeof(Line);  // of what is kept

  static std::array<Block, 4>& kept() {
    thread_local std::array<Block, 4> blocks;
    return blocks;
  }

  static Block take(size_t bytes) {
    const size_t count = (bytes + sizeof(Line) - 1) / sizeof(Line);
    for (Block& block : kept()) {
      if (block.count >= count) return std::exchange(block, Block());
    }
    Block made{std::unique_ptr<Line[]>(new Line[count]), count};
    expect_first_writes(made.lines.get(), count * sizeof(Line));
    return made;
  }

  static void give_back(Block&& block) {
    if (block.count > kMostLines) return;
    auto& blocks = kept();
    Block& smallest = *std::min_element(blocks.begin(), blocks.end(),
                                        [](const Block& a, const Block& b) { return a.count < b.count; });
    if (smallest.count < block.count) smallest = std::move(block);
  }

  Block block_;
};

}  // namespace pycodec
