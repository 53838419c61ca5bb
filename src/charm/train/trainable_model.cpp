#include "charm/train/trainable_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <memory>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/weight_names.h"

namespace charm::train {
namespace {

constexpr std::int64_t kEmbedding = -1;

std::int64_t layer_of(const engine::WeightSlot& slot, const engine::DecoderConfig& config) {
  if (slot.kind == engine::WeightShape::kEmbedding) return kEmbedding;
  const std::int64_t layer = engine::layer_of_weight(slot.name, config);
  return layer >= 0 ? layer : config.num_layers;
}

/// Norms, the head and routers compute in float32 whatever the model's dtype, directly on their
/// master weights.
bool computes_in_float32(const engine::WeightSlot& slot) {
  return engine::is_norm(slot.kind) || engine::is_float32(slot.kind);
}

}  // namespace

TrainableModel::TrainableModel(const engine::DecoderConfig& config, engine::DecoderWeights master,
                               const TrainableOptions& options)
    : options_(options), master_(std::move(master)) {
  if (options_.freeze_layers < 0 || options_.freeze_layers >= config.num_layers) {
    throw Error(ErrorKind::kUsage,
                "--freeze-layers {}: the model has {} layers, and at least one must be trained",
                options_.freeze_layers, config.num_layers);
  }
  const bool embedding_trainable = options_.train_embeddings && options_.freeze_layers == 0;
  engine::DecoderWeights compute = master_;
  const std::vector<engine::WeightSlot> masters = engine::weight_slots(master_, config);
  const std::vector<engine::WeightSlot> computes = engine::weight_slots(compute, config);
  for (std::size_t i = 0; i < masters.size(); ++i) {
    const std::int64_t layer = layer_of(masters[i], config);
    Parameter parameter;
    parameter.name = masters[i].name;
    parameter.master = *masters[i].tensor;
    parameter.decays = masters[i].shape.size() > 1;
    const bool copied = options_.compute_dtype != at::kFloat && !computes_in_float32(masters[i]);
    parameter.compute = copied ? parameter.master.to(options_.compute_dtype) : parameter.master;
    if (layer == kEmbedding ? embedding_trainable : layer >= options_.freeze_layers) {
      parameter.gradient = at::zeros_like(parameter.master);
      // The embedding's gradient is scattered row by row, without autograd: a dense gradient per
      // batch would be as large as the table.
      if (layer != kEmbedding) parameter.compute.set_requires_grad(true);
    }
    *computes[i].tensor = parameter.compute;
    parameters_.push_back(std::move(parameter));
    layers_.push_back(layer);
  }
  decoder_ = std::make_unique<engine::Decoder>(config, std::move(compute), engine::Mode::kAutograd);
}

std::vector<Parameter*> TrainableModel::block_parameters(std::int64_t layer) {
  std::vector<Parameter*> found;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (layers_[i] == layer && parameters_[i].trainable()) found.push_back(&parameters_[i]);
  }
  return found;
}

std::vector<Parameter*> TrainableModel::head_parameters() {
  return block_parameters(config().num_layers);
}

void TrainableModel::zero_gradients() {
  for (Parameter& parameter : parameters_) {
    if (parameter.trainable()) parameter.gradient.zero_();
  }
}

void TrainableModel::refresh_compute_weights() {
  const at::NoGradGuard guard;
  for (Parameter& parameter : parameters_) {
    if (!parameter.compute.is_same(parameter.master)) parameter.compute.copy_(parameter.master);
  }
}

}  // namespace charm::train
