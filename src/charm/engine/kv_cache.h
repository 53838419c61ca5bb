#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/engine/tensor.h"
#include "charm/kernels/attention.h"

namespace charm::engine {

// T packed tokens, H query heads, K key/value heads, E head width.

/// Dimensions of a KV cache.
struct KvCacheShape {
  std::int64_t num_layers = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  DType dtype = DType::kFloat32;
};

/// Paged KV cache of every layer, in blocks of `kBlockTokens` tokens, packed as the attention
/// kernel reads them. The caller allocates blocks to sequences. Pages of blocks that were never
/// written stay unmapped. Not thread-safe.
class KvCache {
 public:
  static constexpr std::int64_t kBlockTokens = kernels::kKvBlockTokens;

  /// Bytes of one block over all layers.
  static std::int64_t block_bytes(const KvCacheShape& shape);

  /// Throws kResource when the allocation fails.
  KvCache(const KvCacheShape& shape, std::int64_t num_blocks);

  std::int64_t num_blocks() const { return num_blocks_; }

  /// Writes K [T, K*E] and V [T, K*E] of the sequences' rows at their positions.
  void store(std::size_t layer, const Tensor& k_TKE, const Tensor& v_TKE,
             const std::vector<kernels::PagedSequence>& sequences);

  /// Causal attention of each row over its sequence: [T, H*E] -> out [T, H*E]; rows outside the
  /// sequences are not written.
  void attend(std::size_t layer, const Tensor& q_THE,
              const std::vector<kernels::PagedSequence>& sequences, const AttentionConfig& config,
              Tensor& out_THE) const;

  /// Copy-on-write: copies block `from` to `to` in all layers.
  void copy_block(std::int32_t from, std::int32_t to);

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const { std::free(memory); }
  };
  kernels::KvCacheLayer layer_of(std::size_t layer) const;

  KvCacheShape shape_;
  std::int64_t num_blocks_ = 0;
  std::int64_t layer_words_ = 0;                  ///< words of one block of one layer
  std::unique_ptr<std::uint32_t[], Free> words_;  ///< [blocks][layers][K][keys, then values]
};

}  // namespace charm::engine
