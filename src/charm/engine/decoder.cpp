#include "charm/engine/decoder.h"

#include <algorithm>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/gated_head.h"
#include "charm/engine/head.h"
#include "charm/engine/model_source.h"
#include "charm/engine/ops.h"
#include "charm/engine/weights_folder.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {

struct Decoder::State {
  DType dtype = DType::kFloat32;
  Tensor embed_VD;  ///< as stored
  Tensor final_norm_D;
  float embedding_scale = 1.0F;  ///< rounded to the model's type
  std::vector<HeadLayer> head;
  GatedHead gated_head;  ///< for gated heads
  Linear lm_head;        ///< causal LMs only
  std::vector<CpuBlock> blocks;
};

namespace {

Tensor softcapped(Tensor logits, const DecoderConfig& config) {
  if (config.final_logit_softcap != 0.0) {
    kernels::softcap(logits.mutable_data<float>(), static_cast<float>(config.final_logit_softcap),
                     logits.numel());
  }
  return logits;
}

std::vector<HeadLayer> float32_head(std::vector<HeadLayer> head) {
  for (HeadLayer& layer : head) {
    layer.weight_OI = layer.weight_OI.to(DType::kFloat32);
    if (layer.bias_O.defined()) layer.bias_O = layer.bias_O.to(DType::kFloat32);
  }
  return head;
}

/// The prefix's length where the batch begins with it, otherwise 0.
std::int64_t computed_tokens(const PackedBatch& batch, const std::vector<std::int32_t>& prefix) {
  const auto length = static_cast<std::int64_t>(prefix.size());
  const bool begins = length > 0 && !batch.prompts.empty() &&
                      batch.prompts.front().response_begin == 0 &&
                      batch.prompts.front().response_length == length &&
                      std::equal(prefix.begin(), prefix.end(), batch.ids.begin());
  return begins ? length : 0;
}

}  // namespace

Decoder::Decoder(DecoderConfig config, DecoderWeights weights, DType dtype)
    : config_(std::move(config)) {
  CHARM_CHECK(static_cast<std::int64_t>(weights.blocks.size()) == config_.num_layers,
              "{} blocks for {} layers", weights.blocks.size(), config_.num_layers);
  auto state = std::make_unique<State>();
  state->dtype = dtype;
  state->embed_VD = weights.embed_VD;
  state->embedding_scale = rounded_scale(config_.embedding_scale, dtype);
  state->final_norm_D = weights.final_norm_D.to(dtype);
  state->head = float32_head(weights.head);
  if (mixes_objectives(config_.head)) state->gated_head = make_gated_head(config_, state->head);
  if (weights.lm_head_VD.defined()) {
    state->lm_head = Linear::pack(weights.lm_head_VD.to(dtype), Tensor());
    release_pages(weights.lm_head_VD);
  }
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    BlockParts parts = make_block_parts(config_, layer, weights.blocks[layer], dtype);
    if (config_.per_layer) parts.per_layer = make_per_layer_input(config_, layer, weights, dtype);
    state->blocks.emplace_back(std::move(parts));
    weights.blocks[layer] = BlockWeights();  // packed copies replace the originals block by block
  }
  release_pages(weights.embed_VD);  // rows fault in again on lookup
  state_ = std::move(state);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

BatchLayout Decoder::layout(const PackedBatch& batch, DecoderSession& session) const {
  const auto plain = [&](const PackedBatch& packed) {
    return make_layout(packed, session.angles, computed_tokens(packed, session.prefix.ids));
  };
  if (config_.gate_tokens.empty()) return plain(batch);
  const GatedBatch gated = add_gates(batch, config_.gate_tokens);
  BatchLayout layout = plain(gated.packed);
  layout.gate_of_S = gated.gate_of;
  return layout;
}

BatchLayout Decoder::layout(const CachedBatch& batch, KvCache& cache,
                            DecoderSession& session) const {
  return make_cached_layout(batch, cache, session.angles);
}

KvCacheShape Decoder::cache_shape() const {
  return {.num_layers = config_.num_layers,
          .num_kv_heads = config_.num_kv_heads,
          .head_dim = config_.head_dim,
          .dtype = state_->dtype};
}

Tensor Decoder::embed(const BatchLayout& layout) const {
  const std::vector<std::int64_t> rows(layout.ids_T.begin(), layout.ids_T.end());
  return embedding_rows(state_->embed_VD, rows, state_->embedding_scale, state_->dtype);
}

Tensor Decoder::block(std::int64_t index, Tensor& x_TD, const BatchLayout& layout, BlockRows rows,
                      DecoderSession& session) const {
  return state_->blocks.at(static_cast<std::size_t>(index))
      .forward(x_TD, layout, rows, session.workspace, session.prefix);
}

Tensor Decoder::hidden(const BatchLayout& layout, DecoderSession& session) const {
  CachedPrefix& prefix = session.prefix;
  CHARM_CHECK(layout.num_computed_tokens == 0 ||
                  layout.num_computed_tokens == static_cast<std::int64_t>(prefix.ids.size()),
              "the layout was built for another cached prefix");
  if (layout.num_computed_tokens == 0) prefix = CachedPrefix();
  if (layout.prefix_to_cache != prefix.ids)
    prefix.ids.clear();  // until all layers have cached the new one
  Tensor x = embed(layout);
  for (std::int64_t i = 0; i < num_layers(); ++i) {
    x = block(i, x, layout, i + 1 == num_layers() ? BlockRows::kLast : BlockRows::kAll, session);
  }
  if (layout.prefix_to_cache.empty()) prefix = CachedPrefix();
  prefix.ids = layout.prefix_to_cache;
  return x;
}

Tensor Decoder::logits(const Tensor& x_SD) const {
  Tensor normed = Tensor::empty(x_SD.shape(), x_SD.dtype());
  rms_norm(x_SD, state_->final_norm_D, norm_config(config_), normed);
  return softcapped(state_->lm_head.forward(normed).to(DType::kFloat32), config_);
}

Tensor Decoder::scores(const Tensor& x_SD) const {
  Tensor scores_S1 =
      head_layers(rms_norm_float32(x_SD, state_->final_norm_D, norm_config(config_)), state_->head);
  Tensor scores_S = scores_S1.view({scores_S1.rows()});
  if (config_.head == HeadKind::kLmLogit) return softcapped(scores_S, config_);
  if (config_.score_mean == 0.0 && config_.score_std == 1.0) return scores_S;
  float* score = scores_S.mutable_data<float>();
  for (std::int64_t s = 0; s < scores_S.numel(); ++s) {
    score[s] =
        (score[s] - static_cast<float>(config_.score_mean)) / static_cast<float>(config_.score_std);
  }
  return scores_S;
}

Tensor Decoder::forward(const BatchLayout& layout, DecoderSession& session) const {
  const Tensor x = hidden(layout, session);
  if (!mixes_objectives(config_.head)) return scores(x);
  const Tensor normed = rms_norm_float32(x, state_->final_norm_D, norm_config(config_));
  if (layout.gate_of_S.empty())  // the gating network reads at the pooled token
    return gated_score(normed, normed, state_->gated_head);
  return gated_score(normed.narrow(0, std::ssize(layout.gate_of_S)),
                     select_rows(normed, layout.gate_of_S), state_->gated_head);
}

bool computes_in_bfloat16(DTypeChoice dtype, bool on_cuda) {
  switch (dtype) {
    case DTypeChoice::kFloat32:
      return false;
    case DTypeChoice::kBFloat16:
      return true;
    case DTypeChoice::kAuto:
      return on_cuda || has_native_bfloat16();
  }
  return false;
}

Provenance model_provenance(const ModelSource& source, const DecoderConfig& config, bool bfloat16,
                            std::string_view device) {
  Provenance provenance = {{"architecture", config.architecture},
                           {"dtype", bfloat16 ? "bfloat16" : "float32"},
                           {"device", std::string(device)}};
  const StoredModel stored = describe_stored(source);
  for (const std::string& note : stored.notes) log::info("{}: {}", source.folder.string(), note);
  for (const std::string& warning : stored.warnings)
    log::warning("{}: {}", source.adapter->string(), warning);
  if (source.adapter) provenance.emplace_back("adapter", stored.adapter);
  if (source.adapter_left_out) provenance.emplace_back("adapter", "none");
  if (config.head == HeadKind::kLmLogit)
    provenance.emplace_back("head", fmt::format("lm-logit:{}", config.head_logit_id));
  if (config.score_mean != 0.0 || config.score_std != 1.0) {
    provenance.emplace_back("normalised", fmt::format("(score - {}) / {}, by config.json",
                                                      config.score_mean, config.score_std));
  }
  return provenance;
}

LoadedWeights load_cpu_weights(const ModelSource& source, const DecoderConfig& config,
                               const RewardModelOptions& options, bool lm_head) {
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(available_processors());
  kernels::set_num_threads(threads);
  const bool bfloat16 = computes_in_bfloat16(options.dtype, /*on_cuda=*/false);
  const DType dtype = bfloat16 ? DType::kBFloat16 : DType::kFloat32;
  Provenance provenance = model_provenance(source, config, bfloat16, "cpu");
  provenance.emplace_back("gemm_backend", "charm");
  provenance.emplace_back("instruction_set", kernels::instruction_set());
  log::debug("{}: {} on cpu, {} threads, kernels for {}", source.folder.string(), dtype_name(dtype),
             threads, kernels::instruction_set());
  DecoderWeights weights =
      load_weights(source, config, {.dtype = dtype, .as_stored = true, .lm_head = lm_head});
  return {std::move(weights), dtype, std::move(provenance)};
}

LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head) {
  LoadedWeights loaded = load_cpu_weights(source, config, options, lm_head);
  return {Decoder(config, std::move(loaded.weights), loaded.dtype), std::move(loaded.provenance)};
}

}  // namespace charm::engine
