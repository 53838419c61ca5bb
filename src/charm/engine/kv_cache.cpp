#include "charm/engine/kv_cache.h"

#include <cstring>

#include "charm/base/error.h"
#include "charm/engine/ops.h"

namespace charm::engine {
namespace {

std::int64_t layer_words(const KvCacheShape& shape) {
  return shape.num_kv_heads * (shape.dtype == DType::kFloat32
                                   ? kernels::kv_block_head_words<float>(shape.head_dim)
                                   : kernels::kv_block_head_words<BFloat16>(shape.head_dim));
}

}  // namespace

std::int64_t KvCache::block_bytes(const KvCacheShape& shape) {
  return layer_words(shape) * shape.num_layers * static_cast<std::int64_t>(sizeof(std::uint32_t));
}

KvCache::KvCache(const KvCacheShape& shape, std::int64_t num_blocks)
    : shape_(shape), num_blocks_(num_blocks), layer_words_(layer_words(shape)) {
  // Zeros, because masked positions after the last token are multiplied by a probability of 0.
  // Untouched pages take no memory.
  words_.reset(static_cast<std::uint32_t*>(
      std::calloc(static_cast<std::size_t>(num_blocks * shape.num_layers * layer_words_),
                  sizeof(std::uint32_t))));
  if (words_ == nullptr) {
    throw Error(ErrorKind::kResource,
                "cannot allocate {:.1f} GiB for the KV cache; use a smaller --cache-memory",
                static_cast<double>(num_blocks * block_bytes(shape)) / (1 << 30));
  }
}

kernels::KvCacheLayer KvCache::layer_of(std::size_t layer) const {
  return {words_.get() + static_cast<std::int64_t>(layer) * layer_words_,
          shape_.num_layers * layer_words_};
}

void KvCache::store(std::size_t layer, const Tensor& k_TKE, const Tensor& v_TKE,
                    const std::vector<kernels::PagedSequence>& sequences) {
  const kernels::AttentionShape shape =
      attention_shape(shape_.num_kv_heads, shape_.num_kv_heads, shape_.head_dim, {});
  call_for_dtype(k_TKE, [&](auto element) {
    using Element = decltype(element);
    kernels::write_kv_cache<Element>(head_rows<Element>(k_TKE, shape_.num_kv_heads),
                                     head_rows<Element>(v_TKE, shape_.num_kv_heads),
                                     layer_of(layer), sequences, shape);
  });
}

void KvCache::attend(std::size_t layer, const Tensor& q_THE,
                     const std::vector<kernels::PagedSequence>& sequences,
                     const AttentionConfig& config, Tensor& out_THE) const {
  const std::int64_t heads = q_THE.cols() / shape_.head_dim;
  const kernels::AttentionShape shape =
      attention_shape(heads, shape_.num_kv_heads, shape_.head_dim, config);
  call_for_dtype(q_THE, [&](auto element) {
    using Element = decltype(element);
    kernels::paged_attention<Element>(head_rows<Element>(q_THE, heads), layer_of(layer),
                                      out_THE.mutable_data<Element>(), sequences, shape);
  });
}

void KvCache::copy_block(std::int32_t from, std::int32_t to) {
  const std::int64_t words = shape_.num_layers * layer_words_;
  std::memcpy(words_.get() + to * words, words_.get() + from * words,
              static_cast<std::size_t>(words) * sizeof(std::uint32_t));
}

}  // namespace charm::engine
