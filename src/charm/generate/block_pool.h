#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace charm::generate {

/// Allocator of KV cache blocks with reference counts: sequences share the blocks of a common
/// prefix. Not thread-safe.
class BlockPool {
 public:
  explicit BlockPool(std::int64_t num_blocks);

  /// A free block with reference count 1; empty if none is free.
  std::optional<std::int32_t> allocate();
  /// `count` blocks, or none.
  std::optional<std::vector<std::int32_t>> allocate(std::int64_t count);
  /// Increments the reference count of an allocated block.
  void share(std::int32_t block);
  /// Decrements the reference counts, freeing blocks at 0. Clears the list.
  void release(std::vector<std::int32_t>& blocks);

  std::int64_t num_free() const { return static_cast<std::int64_t>(free_.size()); }
  std::int64_t num_blocks() const { return static_cast<std::int64_t>(ref_counts_.size()); }

 private:
  std::vector<std::int32_t> ref_counts_;  ///< [block]
  std::vector<std::int32_t> free_;        ///< a stack: most recently used first
};

}  // namespace charm::generate
