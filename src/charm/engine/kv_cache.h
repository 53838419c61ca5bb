#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "charm/engine/block_config.h"
#include "charm/kernels/paged_attention.h"

namespace charm::engine {

// T packed tokens, H query heads, K key/value heads, E head width.

/// Dimensions of a KV cache.
struct KvCacheShape {
  std::int64_t num_layers = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  at::TensorOptions options;  ///< dtype and device of the model
  bool packed = false;  ///< packed layout for the CPU kernels (inference mode); otherwise plain
                        ///< tensors on any device
};

/// Paged KV cache of every layer, in blocks of `kBlockTokens` tokens. The caller allocates blocks
/// to sequences. Pages of blocks that were never written stay unmapped on a CPU. Not thread-safe.
class KvCache {
 public:
  static constexpr std::int64_t kBlockTokens = kernels::kKvBlockTokens;

  /// Bytes of one block over all layers.
  static std::int64_t block_bytes(const KvCacheShape& shape);

  /// Throws kResource when the allocation fails.
  KvCache(const KvCacheShape& shape, std::int64_t num_blocks);

  std::int64_t num_blocks() const { return num_blocks_; }

  /// Writes K [K, T, E] and V [K, T, E] of the sequences' rows at their positions.
  void store(std::size_t layer, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
             const std::vector<kernels::PagedSequence>& sequences);

  /// Causal attention of each row over its sequence: [H, T, E] -> [T, H*E]; rows outside the
  /// sequences are 0.
  at::Tensor attend(std::size_t layer, const at::Tensor& q_HTE,
                    const std::vector<kernels::PagedSequence>& sequences,
                    const AttentionConfig& config) const;

  /// Plain: a layer's rows [blocks * kBlockTokens, 2*K*E], keys before values; slot of position p:
  /// block_table[p / kBlockTokens] * kBlockTokens + p % kBlockTokens. Mode::kGpu accesses them
  /// directly.
  at::Tensor& rows(std::size_t layer) { return rows_[layer]; }

  /// Copy-on-write: copies block `from` to `to` in all layers.
  void copy_block(std::int32_t from, std::int32_t to);

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const { std::free(memory); }
  };
  kernels::KvCacheLayer layer_of(std::size_t layer) const;
  at::Tensor side(std::size_t layer, std::int64_t values) const;
  at::Tensor slots(const kernels::PagedSequence& rows, std::int64_t begin, std::int64_t end) const;

  KvCacheShape shape_;
  std::int64_t num_blocks_ = 0;
  std::int64_t layer_words_ = 0;  ///< packed: words of one block of one layer
  std::unique_ptr<std::uint32_t[], Free>
      words_;                     ///< packed: [blocks][layers][K][keys, then values]
  std::vector<at::Tensor> rows_;  ///< plain: per layer, see `rows`
};

}  // namespace charm::engine
