#include "charm/torch/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <set>
#include <utility>

#include "charm/base/check.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/gated_head.h"
#include "charm/engine/rope.h"
#include "charm/engine/token_batch.h"

namespace charm::torch {
namespace {

at::Tensor softcapped(const at::Tensor& logits, const engine::DecoderConfig& config) {
  const double cap = config.final_logit_softcap;
  return cap == 0.0 ? logits : (logits / cap).tanh() * cap;
}

at::Tensor on_device(const std::vector<float>& inverse_F, const at::Device& device) {
  return at::tensor(inverse_F, at::kFloat).to(device);
}

std::vector<engine::HeadLayer> in_float32(std::vector<engine::HeadLayer> layers) {
  for (engine::HeadLayer& layer : layers) {
    layer.weight_OI = layer.weight_OI.to(engine::DType::kFloat32);
    if (layer.bias_O.defined()) layer.bias_O = layer.bias_O.to(engine::DType::kFloat32);
  }
  return layers;
}

Frequencies on_device(const engine::RopeFrequencies& host, const at::Device& device) {
  return {.inverse_F = on_device(host.inverse_F, device),
          .attention_scaling = host.attention_scaling,
          .fixed_up_to = host.fixed_up_to,
          .of_length = [of_length = host.of_length, device](std::int64_t length) {
            return on_device(of_length(length), device);
          }};
}

}  // namespace

Decoder::Decoder(const engine::DecoderConfig& config, const engine::DecoderWeights& weights,
                 const Place& place, Use use, AttentionKernel attention)
    : config_(config), norm_(engine::norm_config(config)), use_(use) {
  CHARM_CHECK(static_cast<std::int64_t>(weights.blocks.size()) == config_.num_layers,
              "{} blocks for {} layers", weights.blocks.size(), config_.num_layers);
  embed_VD_ = place(weights.embed_VD, /*float32=*/false);
  layout_options_ = {embed_VD_.device(), attention, attention_heads(config_)};
  // Rounded as transformers does: sqrt(3072) = 55.4 is 55.5 in bfloat16.
  embedding_scale_ = at::scalar_tensor(config_.embedding_scale, at::kFloat)
                         .to(embed_VD_.scalar_type())
                         .item<double>();
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer)
    blocks_.push_back(make_block(config_, layer, weights.blocks[layer], place, use));
  final_norm_D_ = place(weights.final_norm_D, /*float32=*/false);
  if (engine::mixes_objectives(config_.head)) {
    gated_head_ =
        make_gated_head(engine::make_gated_head(config_, in_float32(weights.head)), place);
  } else {
    head_ = make_head(weights.head, place);
  }
  if (weights.lm_head_VD.defined()) {
    lm_head_VD_ = config_.tie_word_embeddings ? embed_VD_ : place(weights.lm_head_VD, false);
  }
  for (const engine::RopeFrequencies& frequencies : engine::rope_frequencies(config_))
    ropes_.push_back(on_device(frequencies, device()));
}

Layout Decoder::layout(const engine::PackedBatch& batch, PrefixCache* prefix) const {
  engine::PackedBatch packed = batch;
  std::vector<std::int64_t> gate_of;
  if (!config_.gate_tokens.empty()) {
    engine::GatedBatch gated = engine::add_gates(batch, config_.gate_tokens);
    packed = std::move(gated.packed);
    gate_of = std::move(gated.gate_of);
  }
  // Length-dependent RoPE: sequences of different lengths cannot share a prompt's K.
  const std::int64_t longest = ropes_.front().fixed_up_to;
  if (engine::shares_long_prompts(packed, longest)) {
    packed = engine::unshare_long_prompts(packed, longest);
    if (prefix != nullptr) *prefix = PrefixCache();
  }
  Layout layout = make_layout(packed, ropes_, layout_options_, prefix);
  if (!gate_of.empty()) layout.gate_of_S = at::tensor(gate_of, at::kLong).to(device());
  return layout;
}

Layout Decoder::layout(const engine::CachedBatch& batch, KvCache& cache) const {
  return make_layout(batch, ropes_, layout_options_, cache);
}

at::Tensor Decoder::embed(const Layout& layout) const {
  const at::Tensor x_TD = at::embedding(embed_VD_, layout.ids_T);
  return embedding_scale_ == 1.0 ? x_TD : x_TD * embedding_scale_;
}

at::Tensor Decoder::block(std::int64_t index, const at::Tensor& x_TD, const Layout& layout,
                          BlockRows rows) const {
  return torch::forward(blocks_.at(static_cast<std::size_t>(index)), x_TD, layout, rows);
}

at::Tensor Decoder::head(const at::Tensor& x_SD) const {
  const at::Tensor scores_S = norm_and_head(x_SD, final_norm_D_, head_, norm_);
  if (config_.head == engine::HeadKind::kLmLogit) return softcapped(scores_S, config_);
  const bool normalised = config_.score_mean != 0.0 || config_.score_std != 1.0;
  if (!normalised || use_ == Use::kTraining) return scores_S;
  return (scores_S - config_.score_mean) / config_.score_std;
}

at::Tensor Decoder::logits(const at::Tensor& x_SD) const {
  const at::Tensor normed = rms_norm(x_SD, final_norm_D_, norm_);
  return softcapped(linear(normed, lm_head_VD_, at::Tensor()).to(at::kFloat), config_);
}

at::Tensor Decoder::hidden(const Layout& layout) const {
  PrefixCache* prefix = layout.prefix;
  if (prefix != nullptr) {
    CHARM_CHECK(layout.num_computed_tokens == 0 ||
                    layout.num_computed_tokens == static_cast<std::int64_t>(prefix->ids.size()),
                "the layout was built for another cached prefix");
    if (layout.num_computed_tokens == 0) *prefix = PrefixCache();
    if (layout.prefix_to_cache != prefix->ids)
      prefix->ids.clear();  // until all layers have cached the new one
  }
  at::Tensor x = embed(layout);
  for (std::int64_t i = 0; i < config_.num_layers; ++i)
    x = block(i, x, layout, i + 1 == config_.num_layers ? BlockRows::kLast : BlockRows::kAll);
  if (prefix != nullptr) {
    if (layout.prefix_to_cache.empty()) *prefix = PrefixCache();
    prefix->ids = layout.prefix_to_cache;
  }
  return x;
}

at::Tensor Decoder::forward(const Layout& layout) const {
  const at::Tensor x = hidden(layout);
  if (!engine::mixes_objectives(config_.head)) return head(x);
  if (!layout.gate_of_S.defined())  // the gating network reads at the pooled token
    return norm_and_gated_head(x, x, final_norm_D_, gated_head_, norm_);
  return norm_and_gated_head(x.narrow(0, 0, layout.gate_of_S.size(0)),
                             x.index_select(0, layout.gate_of_S), final_norm_D_, gated_head_,
                             norm_);
}

AttentionHeads attention_heads(const engine::DecoderConfig& config) {
  return {config.num_heads, config.num_kv_heads, config.head_dim};
}

AttentionKernel choose_attention_kernel(const engine::DecoderConfig& config, at::ScalarType dtype,
                                        const at::Device& device) {
  std::set<std::int64_t> windows(config.windows.begin(), config.windows.end());
  if (windows.empty()) windows.insert(0);
  std::vector<engine::AttentionConfig> configs;
  configs.reserve(windows.size());
  for (const std::int64_t window : windows) {
    configs.push_back(
        {.scale = config.attention_scale, .window = window, .softcap = config.attention_softcap});
  }
  return choose_attention_kernel(attention_heads(config), configs, dtype, device);
}

}  // namespace charm::torch
