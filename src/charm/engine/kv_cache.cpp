#include "charm/engine/kv_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>

#include "charm/base/error.h"
#include "charm/engine/attention.h"
#include "charm/engine/kernel_call.h"

namespace charm::engine {
namespace {

std::int64_t packed_layer_words(const KvCacheShape& shape) {
  const bool is_float = shape.options.dtype() == at::kFloat;
  return shape.num_kv_heads *
         (is_float ? kernels::kv_block_head_words<float>(shape.head_dim)
                   : kernels::kv_block_head_words<kernels::BFloat16>(shape.head_dim));
}

}  // namespace

std::int64_t KvCache::block_bytes(const KvCacheShape& shape) {
  if (shape.packed) {
    return packed_layer_words(shape) * shape.num_layers *
           static_cast<std::int64_t>(sizeof(std::uint32_t));
  }
  const auto element = static_cast<std::int64_t>(shape.options.dtype().itemsize());
  return 2 * kBlockTokens * shape.num_kv_heads * shape.head_dim * shape.num_layers * element;
}

KvCache::KvCache(const KvCacheShape& shape, std::int64_t num_blocks)
    : shape_(shape), num_blocks_(num_blocks) {
  if (shape.packed) {
    layer_words_ = packed_layer_words(shape);
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
    return;
  }
  for (std::int64_t layer = 0; layer < shape.num_layers; ++layer) {
    rows_.push_back(at::zeros({num_blocks * kBlockTokens, 2 * shape.num_kv_heads * shape.head_dim},
                              shape.options));
  }
}

kernels::KvCacheLayer KvCache::layer_of(std::size_t layer) const {
  return {words_.get() + static_cast<std::int64_t>(layer) * layer_words_,
          shape_.num_layers * layer_words_};
}

/// A layer's keys (0) or values (1), [blocks * kBlockTokens, K, E].
at::Tensor KvCache::side(std::size_t layer, std::int64_t values) const {
  return rows_[layer].view({-1, 2, shape_.num_kv_heads, shape_.head_dim}).select(1, values);
}

at::Tensor KvCache::slots(const kernels::PagedSequence& rows, std::int64_t begin,
                          std::int64_t end) const {
  std::vector<std::int64_t> indices;
  for (std::int64_t position = begin; position < end; ++position) {
    indices.push_back(rows.block_table[static_cast<std::size_t>(position / kBlockTokens)] *
                          kBlockTokens +
                      position % kBlockTokens);
  }
  return at::from_blob(indices.data(), {end - begin}, at::kLong)
      .clone()
      .to(shape_.options.device());
}

void KvCache::store(std::size_t layer, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                    const std::vector<kernels::PagedSequence>& sequences) {
  if (!shape_.packed) {
    for (const kernels::PagedSequence& rows : sequences) {
      const at::Tensor index = slots(rows, rows.first_position, rows.first_position + rows.length);
      side(layer, 0).index_copy_(0, index,
                                 k_KTE.narrow(1, rows.begin, rows.length).transpose(0, 1));
      side(layer, 1).index_copy_(0, index,
                                 v_KTE.narrow(1, rows.begin, rows.length).transpose(0, 1));
    }
    return;
  }
  const kernels::AttentionShape shape =
      attention_shape(shape_.num_kv_heads, shape_.num_kv_heads, shape_.head_dim, {});
  call_for_dtype(k_KTE, [&](auto element) {
    using Element = decltype(element);
    kernels::write_kv_cache<Element>(head_rows<Element>(k_KTE), head_rows<Element>(v_KTE),
                                     layer_of(layer), sequences, shape);
  });
}

at::Tensor KvCache::attend(std::size_t layer, const at::Tensor& q_HTE,
                           const std::vector<kernels::PagedSequence>& sequences,
                           const AttentionConfig& config) const {
  const kernels::AttentionShape shape =
      attention_shape(q_HTE.size(0), shape_.num_kv_heads, shape_.head_dim, config);
  at::Tensor out_THE = at::zeros({q_HTE.size(1), shape.heads * shape.head_dim}, q_HTE.options());
  if (shape_.packed) {
    call_for_dtype(q_HTE, [&](auto element) {
      using Element = decltype(element);
      kernels::paged_attention<Element>(head_rows<Element>(q_HTE), layer_of(layer),
                                        mutable_elements<Element>(out_THE), sequences, shape);
    });
    return out_THE;
  }
  for (const kernels::PagedSequence& rows : sequences) {
    const at::Tensor index = slots(rows, 0, rows.first_position + rows.length);
    const auto gathered = [&](const at::Tensor& t) {
      return t.index_select(0, index).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor out_1HRE =
        attend_sequence(q_HTE.narrow(1, rows.begin, rows.length).unsqueeze(0),
                        gathered(side(layer, 0)), gathered(side(layer, 1)), config);
    out_THE.narrow(0, rows.begin, rows.length)
        .copy_(out_1HRE.squeeze(0).transpose(0, 1).flatten(1));
  }
  return out_THE;
}

void KvCache::copy_block(std::int32_t from, std::int32_t to) {
  if (shape_.packed) {
    const std::int64_t words = shape_.num_layers * layer_words_;
    std::memcpy(words_.get() + to * words, words_.get() + from * words,
                static_cast<std::size_t>(words) * sizeof(std::uint32_t));
    return;
  }
  for (at::Tensor& t : rows_) {
    t.narrow(0, to * kBlockTokens, kBlockTokens)
        .copy_(t.narrow(0, from * kBlockTokens, kBlockTokens));
  }
}

}  // namespace charm::engine
