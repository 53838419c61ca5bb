#include "charm/torch/kv_cache.h"

#include <ATen/ops/zeros.h>

namespace charm::torch {

std::int64_t KvCache::block_bytes(const engine::DecoderConfig& config, at::ScalarType dtype) {
  return 2 * kBlockTokens * config.num_kv_heads * config.head_dim * config.num_layers *
         static_cast<std::int64_t>(c10::elementSize(dtype));
}

KvCache::KvCache(const engine::DecoderConfig& config, std::int64_t num_blocks,
                 const at::TensorOptions& options)
    : num_blocks_(num_blocks) {
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    rows_.push_back(
        at::zeros({num_blocks * kBlockTokens, 2 * config.num_kv_heads * config.head_dim}, options));
  }
}

void KvCache::copy_block(std::int32_t from, std::int32_t to) {
  for (at::Tensor& rows : rows_) {
    rows.narrow(0, to * kBlockTokens, kBlockTokens)
        .copy_(rows.narrow(0, from * kBlockTokens, kBlockTokens));
  }
}

}  // namespace charm::torch
