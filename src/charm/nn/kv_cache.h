#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "charm/kernels/paged_attention.h"
#include "charm/nn/attention_rule.h"

namespace charm::nn {

// T packed tokens, H query heads, K key/value heads, E head width.

/// What a cache of keys and values is made for.
struct KvCacheShape {
  std::int64_t num_layers = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  at::TensorOptions options;  ///< dtype and device of the model
  bool packed = false;  ///< CPU kernels (inference mode); otherwise plain tensors on any device
};

/// Keys and values of every layer in blocks of `kBlockTokens` tokens. Who owns a block is the
/// caller's business. Memory of blocks that were never written is not touched, so on a CPU it costs
/// nothing. Not safe for concurrent use.
class KvCache {
 public:
  static constexpr std::int64_t kBlockTokens = kernels::kKvBlockTokens;

  /// Bytes of one block over all layers.
  static std::int64_t block_bytes(const KvCacheShape& shape);

  /// Throws kResource when the memory cannot be had.
  KvCache(const KvCacheShape& shape, std::int64_t num_blocks);

  std::int64_t num_blocks() const { return num_blocks_; }

  /// Puts keys [K, T, E] and values [K, T, E] of the sequences' rows at their positions.
  void store(std::size_t layer, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
             const std::vector<kernels::PagedSequence>& sequences);

  /// Each row over all keys of its sequence up to itself: [H, T, E] -> [T, H*E]; rows of no
  /// sequence are 0.
  at::Tensor attend(std::size_t layer, const at::Tensor& q_HTE,
                    const std::vector<kernels::PagedSequence>& sequences,
                    const AttentionRule& rule) const;

  /// Plain: a layer's rows [blocks * kBlockTokens, 2*K*E], keys before values; row of position p:
  /// blocks[p / kBlockTokens] * kBlockTokens + p % kBlockTokens. Mode::kGpu writes and reads them
  /// itself.
  at::Tensor& rows(std::size_t layer) { return rows_[layer]; }

  /// Makes `to` a copy of `from`, in all layers.
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

}  // namespace charm::nn
