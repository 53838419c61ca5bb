#include "charm/engine/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/base/log.h"
#include "charm/engine/block_parts.h"
#include "charm/engine/decoder_block.h"
#include "charm/engine/head.h"
#include "charm/engine/objective_heads.h"
#include "charm/engine/ops.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/token_batch.h"

namespace charm::engine {

struct Decoder::State {
  LayoutOptions layout;
  at::Tensor embed_VD, final_norm_D;
  double embedding_scale = 1.0;  ///< rounded to the model's dtype
  std::vector<HeadLayer> head;
  GatedHead gated_head;                ///< for gated heads
  Linear lm_head;                      ///< causal LMs only
  std::vector<RopeFrequencies> ropes;  ///< global, then local where there is one
  std::vector<DecoderBlock> blocks;
  BlockWorkspace workspace;
};

namespace {

at::Tensor softcapped(const at::Tensor& logits, const DecoderConfig& config) {
  const double cap = config.final_logit_softcap;
  return cap == 0.0 ? logits : (logits / cap).tanh() * cap;
}

}  // namespace

Decoder::Decoder(DecoderConfig config, DecoderWeights weights, Mode mode, GemmBackend backend,
                 AttentionKernel attention)
    : config_(std::move(config)), state_(std::make_unique<State>()) {
  CHARM_CHECK(static_cast<std::int64_t>(weights.blocks.size()) == config_.num_layers,
              "{} blocks for {} layers", weights.blocks.size(), config_.num_layers);
  const bool inference = mode == Mode::kInference;
  CHARM_CHECK(!inference || weights.embed_VD.is_cpu(), "inference mode needs weights on the CPU");
  state_->layout = {mode, weights.embed_VD.device(), attention, attention_heads(config_)};
  state_->embed_VD = weights.embed_VD;
  // Rounded as transformers does: sqrt(3072) = 55.4 is 55.5 in bfloat16.
  state_->embedding_scale = at::scalar_tensor(config_.embedding_scale, at::kFloat)
                                .to(weights.embed_VD.scalar_type())
                                .item<double>();
  state_->final_norm_D = weights.final_norm_D;
  state_->head = weights.head;
  for (HeadLayer& layer : state_->head) {
    if (mode == Mode::kAutograd) break;
    layer.weight_OI = layer.weight_OI.to(at::kFloat);
    if (layer.bias_O.defined()) layer.bias_O = layer.bias_O.to(at::kFloat);
  }
  if (mixes_objectives(config_.head)) state_->gated_head = make_gated_head(config_, state_->head);
  if (weights.lm_head_VD.defined())
    state_->lm_head = inference ? Linear::packed(weights.lm_head_VD, at::Tensor(), backend)
                                : Linear::plain(weights.lm_head_VD, at::Tensor());
  state_->ropes.push_back(rope_frequencies(config_.rope, rotary_dim(config_, config_.rope)));
  if (config_.local_rope)
    state_->ropes.push_back(
        rope_frequencies(*config_.local_rope, rotary_dim(config_, *config_.local_rope)));
  for (RopeFrequencies& rope : state_->ropes)
    rope.inverse_F = rope.inverse_F.to(weights.embed_VD.device());
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    state_->blocks.emplace_back(
        make_block_parts(config_, layer, weights.blocks[layer], mode, backend));
    for (const at::Tensor& weight : gemm_weights(config_, weights.blocks[layer])) {
      if (inference) release_pages(weight);
    }
    weights.blocks[layer] = BlockWeights();  // packed copies replace the originals block by block
  }
  if (inference) release_pages(weights.embed_VD);  // rows fault in again on lookup
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

BatchLayout Decoder::layout(const PackedBatch& batch) const {
  if (config_.gate_tokens.empty()) return plain_layout(batch);
  const GatedBatch gated = add_gates(batch, config_.gate_tokens);
  BatchLayout layout = plain_layout(gated.packed);
  layout.gate_of_S = at::tensor(gated.gate_of, at::kLong).to(state_->embed_VD.device());
  return layout;
}

BatchLayout Decoder::plain_layout(const PackedBatch& batch) const {
  const auto make = [&](const PackedBatch& packed, std::int64_t num_computed_tokens) {
    return make_layout(packed, state_->ropes, state_->layout, num_computed_tokens);
  };
  // Length-dependent RoPE: sequences of different lengths cannot share a prompt's K.
  const std::int64_t longest = state_->ropes.front().fixed_up_to;
  const bool shared =
      std::all_of(batch.responses.begin(), batch.responses.end(), [&](const Segment& s) {
        return s.prompt_length == 0 || s.prompt_length + s.response_length <= longest;
      });
  if (!shared) return make(unshare_long_prompts(batch, longest), 0);
  if (state_->layout.mode == Mode::kAutograd) return make(batch, 0);
  // The cached prefix, if this batch begins with it.
  const std::vector<std::int32_t>& prefix = state_->workspace.cached_prefix().ids;
  const bool is_cached =
      !prefix.empty() && !batch.prompts.empty() && batch.prompts.front().response_begin == 0 &&
      batch.prompts.front().response_length == static_cast<std::int64_t>(prefix.size()) &&
      std::equal(prefix.begin(), prefix.end(), batch.ids.begin());
  return make(batch, is_cached ? static_cast<std::int64_t>(prefix.size()) : 0);
}

BatchLayout Decoder::layout(const CachedBatch& batch, KvCache& cache) const {
  return make_cached_layout(batch, cache, state_->ropes, state_->layout);
}

KvCacheShape Decoder::cache_shape() const {
  return {.num_layers = config_.num_layers,
          .num_kv_heads = config_.num_kv_heads,
          .head_dim = config_.head_dim,
          .options = at::TensorOptions()
                         .dtype(state_->embed_VD.scalar_type())
                         .device(state_->embed_VD.device()),
          .packed = state_->layout.mode == Mode::kInference};
}

at::Tensor Decoder::embed(const BatchLayout& layout) const {
  // The pad token's row gets no gradient, as in transformers (nn.Embedding with padding_idx), even
  // where pad is the EOS token.
  const at::Tensor x_TD =
      at::embedding(state_->embed_VD, layout.ids_T, /*padding_idx=*/config_.pad_token_id);
  return state_->embedding_scale == 1.0 ? x_TD : x_TD * state_->embedding_scale;
}

bool Decoder::is_on_gpu() const { return !state_->layout.device.is_cpu(); }

double Decoder::embedding_scale() const { return state_->embedding_scale; }

at::Tensor Decoder::block(std::int64_t index, const at::Tensor& x_TD, const BatchLayout& layout,
                          BlockRows rows) const {
  const bool overwritten = state_->layout.mode != Mode::kAutograd && rows == BlockRows::kAll;
  return run_block(index, overwritten ? x_TD.clone() : x_TD, layout, rows);
}

at::Tensor Decoder::run_block(std::int64_t index, const at::Tensor& x_TD, const BatchLayout& layout,
                              BlockRows rows) const {
  return state_->blocks.at(static_cast<std::size_t>(index))
      .forward(x_TD, layout, rows, state_->workspace);
}

at::Tensor Decoder::head(const at::Tensor& x_SD) const {
  at::Tensor scores_S = norm_and_head(x_SD, state_->final_norm_D, state_->head,
                                      norm_config(config_), state_->layout.mode);
  if (config_.head == HeadKind::kLmLogit) return softcapped(scores_S, config_);
  const bool normalised = config_.score_mean != 0.0 || config_.score_std != 1.0;
  // OpenRLHF normalises outside of training.
  if (!normalised || state_->layout.mode == Mode::kAutograd) return scores_S;
  return (scores_S - config_.score_mean) / config_.score_std;
}

at::Tensor Decoder::logits(const at::Tensor& x_SD) const {
  const at::Tensor normed =
      rms_norm(x_SD, state_->final_norm_D, norm_config(config_), state_->layout.mode);
  const at::Tensor logits_SV = state_->lm_head.forward(normed).to(at::kFloat);
  return softcapped(logits_SV, config_);
}

at::Tensor Decoder::hidden(const BatchLayout& layout) const {
  CachedPrefix& prefix = state_->workspace.cached_prefix();
  CHARM_CHECK(layout.num_computed_tokens == 0 ||
                  layout.num_computed_tokens == static_cast<std::int64_t>(prefix.ids.size()),
              "the layout was built for another cached prefix");
  if (layout.num_computed_tokens == 0) prefix = CachedPrefix();
  if (layout.prefix_to_cache != prefix.ids)
    prefix.ids.clear();  // until all layers have cached the new one
  at::Tensor x = embed(layout);
  for (std::int64_t i = 0; i < num_layers(); ++i) {
    x = run_block(i, x, layout, i + 1 == num_layers() ? BlockRows::kLast : BlockRows::kAll);
  }
  if (layout.prefix_to_cache.empty()) prefix = CachedPrefix();
  prefix.ids = layout.prefix_to_cache;
  return x;
}

at::Tensor Decoder::forward(const BatchLayout& layout) const {
  const at::Tensor x = hidden(layout);
  if (!mixes_objectives(config_.head)) return head(x);
  if (!layout.gate_of_S.defined()) {  // the gating network reads at the pooled token
    return norm_and_gated_head(x, x, state_->final_norm_D, state_->gated_head, norm_config(config_),
                               state_->layout.mode);
  }
  return norm_and_gated_head(x.narrow(0, 0, layout.gate_of_S.size(0)),
                             x.index_select(0, layout.gate_of_S), state_->final_norm_D,
                             state_->gated_head, norm_config(config_), state_->layout.mode);
}

AttentionHeads attention_heads(const DecoderConfig& config) {
  return {config.num_heads, config.num_kv_heads, config.head_dim};
}

AttentionKernel choose_attention_kernel(const DecoderConfig& config, at::ScalarType dtype,
                                        const at::Device& device) {
  std::set<std::int64_t> windows(config.windows.begin(), config.windows.end());
  if (windows.empty()) windows.insert(0);
  std::vector<AttentionConfig> configs;
  configs.reserve(windows.size());
  for (const std::int64_t window : windows) {
    configs.push_back(
        {.scale = config.attention_scale, .window = window, .softcap = config.attention_softcap});
  }
  return choose_attention_kernel(attention_heads(config), configs, dtype, device);
}

GemmBackend choose_gemm_backend(const DecoderConfig& config, const DecoderWeights& weights) {
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  std::vector<at::Tensor> shapes;
  if (weights.lm_head_VD.defined()) shapes.push_back(weights.lm_head_VD);
  for (const BlockWeights& block : weights.blocks) {
    for (const at::Tensor& weight : gemm_weights(config, block)) {
      if (seen.emplace(weight.size(0), weight.size(1)).second) shapes.push_back(weight);
    }
  }
  // In order of speed, as measured on AVX2 and AVX-512 machines (docs/numerics.md).
  for (const GemmBackend backend :
       {GemmBackend::kCharm, GemmBackend::kOneDnnPacked, GemmBackend::kAtenLinear}) {
    bool row_invariant = true;
    for (const at::Tensor& weight : shapes)
      row_invariant = row_invariant && is_row_invariant(backend, weight);
    if (row_invariant) return backend;
    log::warning("GEMM by {} is not row-invariant on this machine; trying the next backend",
                 gemm_backend_name(backend));
  }
  throw Error(ErrorKind::kResource,
              "no GEMM backend is row-invariant on this machine; try --dtype float32");
}

}  // namespace charm::engine
