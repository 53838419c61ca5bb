#include "charm/train/checkpointed_step.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "charm/engine/layout.h"
#include "charm/train/train_options.h"

namespace charm::train {
namespace {

// T packed tokens, S responses, D model width.

/// A block's input, and its output where its activations (the autograd graph) are stored.
struct Activation {
  at::Tensor x_TD;
  at::Tensor y_TD;
};

engine::BlockRows rows_of(const TrainableModel& model, std::int64_t layer) {
  return layer + 1 == model.config().num_layers ? engine::BlockRows::kLast
                                                : engine::BlockRows::kAll;
}

/// Backward from `output` with upstream gradient `output_gradient` (undefined for a scalar).
/// Accumulates the parameters' gradients; returns x's (undefined where x needs none).
at::Tensor backward(const at::Tensor& output, const at::Tensor& output_gradient,
                    const at::Tensor& x, const std::vector<Parameter*>& parameters) {
  torch::autograd::variable_list inputs;
  for (const Parameter* parameter : parameters) inputs.push_back(parameter->compute);
  const bool x_needs_gradient = x.requires_grad();
  if (x_needs_gradient) inputs.push_back(x);
  const torch::autograd::variable_list gradients = torch::autograd::grad(
      {output}, inputs, {output_gradient}, /*retain_graph=*/false, /*create_graph=*/false);
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i]->gradient.add_(gradients[i]);
  return x_needs_gradient ? gradients.back() : at::Tensor();
}

/// Forward pass through the blocks; returns what backward needs and, last, the head's input.
std::vector<Activation> run_blocks(TrainableModel& model, const engine::BatchLayout& layout,
                                   std::int64_t first_stored) {
  const std::int64_t num_layers = model.config().num_layers;
  const std::int64_t first_trainable = model.first_trainable_block();
  const bool embedding_trainable = model.embedding() != nullptr;
  std::vector<Activation> activations(static_cast<std::size_t>(num_layers) + 1);
  at::Tensor x;
  {
    const at::NoGradGuard guard;
    x = model.decoder().embed(layout);
  }
  for (std::int64_t layer = 0; layer < num_layers; ++layer) {
    Activation& activation = activations[static_cast<std::size_t>(layer)];
    const bool trainable = layer >= first_trainable;
    if (trainable) {
      activation.x_TD = x.detach().requires_grad_(layer > first_trainable || embedding_trainable);
    }
    const at::AutoGradMode mode(trainable && layer >= first_stored);
    const at::Tensor y = model.decoder().block(layer, trainable ? activation.x_TD : x, layout,
                                               rows_of(model, layer));
    if (trainable && layer >= first_stored) activation.y_TD = y;
    x = y.detach();
  }
  activations.back().x_TD = x.requires_grad_(true);
  return activations;
}

/// The pad token's row gets no gradient, as in torch's Embedding with `padding_idx` (which
/// transformers' models set).
void add_embedding_gradient(TrainableModel& model, const engine::BatchLayout& layout,
                            const at::Tensor& gradient_TD) {
  const at::NoGradGuard guard;
  const at::Tensor& sum_VD = model.embedding()->gradient;
  sum_VD.index_add_(/*dim=*/0, layout.ids_T, gradient_TD.to(at::kFloat),
                    /*alpha=*/model.decoder().embedding_scale());
  const std::int64_t pad = model.config().pad_token_id;
  if (pad >= 0 && pad < sum_VD.size(0)) sum_VD.select(/*dim=*/0, pad).zero_();
}

}  // namespace

BatchResult accumulate_gradients(TrainableModel& model, const engine::PackedBatch& batch,
                                 const ScoreLoss& loss, std::int64_t stored_blocks) {
  const std::int64_t num_layers = model.config().num_layers;
  const engine::BatchLayout layout = model.decoder().layout(batch);
  std::vector<Activation> activations =
      run_blocks(model, layout, num_layers - std::max<std::int64_t>(1, stored_blocks));

  BatchResult result;
  at::Tensor gradient;
  {
    const at::AutoGradMode grad_on(true);
    const at::Tensor& x_SD = activations.back().x_TD;
    const at::Tensor scores_S = model.decoder().head(x_SD);
    const at::Tensor total = loss(scores_S);
    result.loss = total.item<double>();
    result.scores_S = scores_S.detach();
    gradient = backward(total, {}, x_SD, model.head_parameters());
  }
  for (std::int64_t layer = num_layers - 1; layer >= model.first_trainable_block(); --layer) {
    const Activation activation = std::exchange(activations[static_cast<std::size_t>(layer)], {});
    at::Tensor y = activation.y_TD;
    if (!y.defined()) {
      const at::AutoGradMode grad_on(true);
      y = model.decoder().block(layer, activation.x_TD, layout, rows_of(model, layer));
    }
    gradient = backward(y, gradient, activation.x_TD, model.block_parameters(layer));
  }
  if (model.embedding() != nullptr) add_embedding_gradient(model, layout, gradient);
  return result;
}

std::int64_t num_blocks_to_store(const engine::DecoderConfig& config, at::ScalarType compute_dtype,
                                 std::int64_t budget_tokens, double activation_bytes) {
  const double per_token =
      saved_bytes_per_token(config, static_cast<double>(c10::elementSize(compute_dtype)));
  const double fit = activation_bytes / (per_token * static_cast<double>(budget_tokens));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(fit, 1e6)), 1,
                                  config.num_layers);
}

}  // namespace charm::train
