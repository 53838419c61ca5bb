#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/kernels/attention.h"

namespace charm::torch {

/// K and V of one prompt in every layer, reused by the next batch, which continues with it.
struct PrefixCache {
  std::vector<std::int32_t> ids;  ///< empty: nothing cached
  std::vector<at::Tensor> kv;     ///< [rows, 2*K*E] of each layer
};

/// Paged KV cache on a device, in blocks of `kBlockTokens` tokens. The caller allocates blocks to
/// sequences. Not thread-safe.
class KvCache {
 public:
  static constexpr std::int64_t kBlockTokens = kernels::kKvBlockTokens;

  /// Bytes of one block over all layers.
  static std::int64_t block_bytes(const engine::DecoderConfig& config, at::ScalarType dtype);

  KvCache(const engine::DecoderConfig& config, std::int64_t num_blocks,
          const at::TensorOptions& options);

  std::int64_t num_blocks() const { return num_blocks_; }

  /// A layer's rows [blocks * kBlockTokens, 2*K*E], keys before values; slot of position p:
  /// block_table[p / kBlockTokens] * kBlockTokens + p % kBlockTokens.
  at::Tensor& rows(std::size_t layer) { return rows_[layer]; }

  /// Copy-on-write: copies block `from` to `to` in all layers.
  void copy_block(std::int32_t from, std::int32_t to);

 private:
  std::int64_t num_blocks_ = 0;
  std::vector<at::Tensor> rows_;
};

}  // namespace charm::torch
