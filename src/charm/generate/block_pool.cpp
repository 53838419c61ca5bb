#include "charm/generate/block_pool.h"

#include "charm/base/check.h"

namespace charm::generate {

BlockPool::BlockPool(std::int64_t num_blocks)
    : ref_counts_(static_cast<std::size_t>(num_blocks), 0) {
  for (std::int64_t block = num_blocks; block-- > 0;)
    free_.push_back(static_cast<std::int32_t>(block));
}

std::optional<std::int32_t> BlockPool::allocate() {
  if (free_.empty()) return std::nullopt;
  const std::int32_t block = free_.back();
  free_.pop_back();
  ref_counts_[static_cast<std::size_t>(block)] = 1;
  return block;
}

std::optional<std::vector<std::int32_t>> BlockPool::allocate(std::int64_t count) {
  if (num_free() < count) return std::nullopt;
  std::vector<std::int32_t> blocks;
  for (std::int64_t i = 0; i < count; ++i) blocks.push_back(*allocate());
  return blocks;
}

void BlockPool::share(std::int32_t block) {
  std::int32_t& ref_count = ref_counts_.at(static_cast<std::size_t>(block));
  CHARM_CHECK(ref_count > 0, "block {} is free", block);
  ++ref_count;
}

void BlockPool::release(std::vector<std::int32_t>& blocks) {
  for (const std::int32_t block : blocks) {
    std::int32_t& ref_count = ref_counts_.at(static_cast<std::size_t>(block));
    CHARM_CHECK(ref_count > 0, "block {} was released twice", block);
    if (--ref_count == 0) free_.push_back(block);
  }
  blocks.clear();
}

}  // namespace charm::generate
