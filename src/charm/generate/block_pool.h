#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace charm::generate {

/// Who uses which blocks of a cache: a block is free, or held by one or more sequences. Not safe
/// for concurrent use.
class BlockPool {
 public:
  explicit BlockPool(std::int64_t num_blocks);

  /// A free block, held once; empty when none is free.
  std::optional<std::int32_t> take();
  /// `count` blocks, or none.
  std::optional<std::vector<std::int32_t>> take(std::int64_t count);
  /// One more holder of a held block.
  void share(std::int32_t block);
  /// One holder less of each; a block without holders is free. Empties the list.
  void release(std::vector<std::int32_t>& blocks);

  std::int64_t num_free() const { return static_cast<std::int64_t>(free_.size()); }
  std::int64_t num_blocks() const { return static_cast<std::int64_t>(holders_.size()); }

 private:
  std::vector<std::int32_t> holders_;  ///< of each block
  std::vector<std::int32_t> free_;     ///< a stack: recently used memory first
};

}  // namespace charm::generate
