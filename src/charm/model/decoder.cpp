#include "charm/model/decoder.h"

#include <ATen/ops/embedding.h>

#include <set>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/base/log.h"
#include "charm/model/rope_frequencies.h"
#include "charm/nn/decoder_block.h"
#include "charm/nn/ops.h"

namespace charm::model {

struct Decoder::State {
  nn::Mode mode;
  at::Tensor embed_VD, final_norm_D, head_1D;
  at::Tensor inverse_frequencies_F;
  std::vector<nn::DecoderBlock> blocks;
};

namespace {

nn::BlockParts make_parts(const DecoderConfig& config, const BlockWeights& weights, nn::Mode mode, nn::GemmBackend backend) {
  const auto linear = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return mode == nn::Mode::kInference ? nn::Linear::packed(weight, bias, backend) : nn::Linear::plain(weight, bias);
  };
  nn::BlockParts parts;
  parts.num_heads = config.num_heads;
  parts.num_kv_heads = config.num_kv_heads;
  parts.rms_norm_eps = config.rms_norm_eps;
  parts.input_norm_D = weights.input_norm_D;
  parts.post_attention_norm_D = weights.post_attention_norm_D;
  parts.q = linear(weights.q_HED, weights.q_bias);
  parts.k = linear(weights.k_KED, weights.k_bias);
  parts.v = linear(weights.v_KED, weights.v_bias);
  parts.o = linear(weights.o_DHE, weights.o_bias);
  parts.gate = linear(weights.gate_FD, weights.gate_bias);
  parts.up = linear(weights.up_FD, weights.up_bias);
  parts.down = linear(weights.down_DF, weights.down_bias);
  return parts;
}

}  // namespace

Decoder::Decoder(DecoderConfig config, DecoderWeights weights, nn::Mode mode, nn::GemmBackend backend)
    : config_(std::move(config)), state_(std::make_unique<State>()) {
  CHARM_CHECK(static_cast<std::int64_t>(weights.blocks.size()) == config_.num_layers, "{} blocks for {} layers",
              weights.blocks.size(), config_.num_layers);
  const bool inference = mode == nn::Mode::kInference;
  CHARM_CHECK(!inference || weights.embed_VD.is_cpu(), "inference mode needs weights on the CPU");
  state_->mode = mode;
  state_->embed_VD = weights.embed_VD;
  state_->final_norm_D = weights.final_norm_D;
  state_->head_1D = inference && weights.head_1D.defined() ? weights.head_1D.to(at::kFloat) : weights.head_1D;
  state_->inverse_frequencies_F = rope_frequencies(config_.rope, config_.head_dim).to(weights.embed_VD.device());
  for (BlockWeights& block : weights.blocks) {
    state_->blocks.emplace_back(make_parts(config_, block, mode, backend));
    block = BlockWeights();  // packed copies replace the originals one block at a time
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

nn::BatchLayout Decoder::layout(const batch::PackedBatch& batch) const {
  return nn::make_layout(batch, state_->inverse_frequencies_F, /*attention_scaling=*/1.0, state_->mode,
                         state_->embed_VD.device());
}

at::Tensor Decoder::embed(const nn::BatchLayout& layout) const {
  // The pad token's row gets no gradient, as in transformers (nn.Embedding with padding_idx), even where pad is the closing token.
  return at::embedding(state_->embed_VD, layout.ids_T, /*padding_idx=*/config_.pad_token_id);
}

at::Tensor Decoder::block(std::int64_t index, const at::Tensor& x_TD, const nn::BatchLayout& layout,
                          nn::BlockRows rows) const {
  return state_->blocks.at(static_cast<std::size_t>(index)).forward(x_TD, layout, rows);
}

at::Tensor Decoder::head(const at::Tensor& x_SD) const {
  CHARM_CHECK(state_->head_1D.defined(), "this decoder has no head");
  return nn::norm_and_head(x_SD, state_->final_norm_D, state_->head_1D, config_.rms_norm_eps, state_->mode);
}

at::Tensor Decoder::forward(const nn::BatchLayout& layout) const {
  at::Tensor x = embed(layout);
  for (std::int64_t i = 0; i < num_layers(); ++i) {
    x = block(i, x, layout, i + 1 == num_layers() ? nn::BlockRows::kLast : nn::BlockRows::kAll);
  }
  return head(x).narrow(0, 0, layout.num_responses);
}

nn::GemmBackend choose_gemm_backend(const DecoderWeights& weights) {
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  std::vector<at::Tensor> shapes;
  for (const BlockWeights& block : weights.blocks) {
    for (const at::Tensor& weight : {block.q_HED, block.k_KED, block.o_DHE, block.gate_FD, block.down_DF}) {
      if (seen.emplace(weight.size(0), weight.size(1)).second) shapes.push_back(weight);
    }
  }
  // In order of speed, as measured on AVX2 and AVX-512 machines (docs/numerics.md).
  for (const nn::GemmBackend backend : {nn::GemmBackend::kOneDnnPacked, nn::GemmBackend::kAtenLinear}) {
    bool same = true;
    for (const at::Tensor& weight : shapes) same = same && nn::is_row_invariant(backend, weight);
    if (same) return backend;
    log::warning("matrix products by {} change a row's bits with its place in the batch on this machine; trying the next",
                 nn::gemm_backend_name(backend));
  }
  throw Error(ErrorKind::kResource, "no matrix product of this machine gives a row the same bits in every batch; try --dtype float32");
}

}  // namespace charm::model
