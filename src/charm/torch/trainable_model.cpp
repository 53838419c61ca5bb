#include "charm/engine/trainable_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/weight_names.h"
#include "charm/torch/adamw.h"
#include "charm/torch/back_end.h"
#include "charm/torch/device.h"
#include "charm/torch/host_copy.h"
#include "charm/torch/load_decoder.h"

namespace charm::torch {
namespace {

// T packed tokens, S responses, D model width.

constexpr std::int64_t kEmbedding = -1;

std::int64_t layer_of(const engine::WeightSlot& slot, const engine::DecoderConfig& config) {
  if (slot.kind == engine::WeightShape::kEmbedding) return kEmbedding;
  const std::int64_t layer = engine::layer_of_weight(slot.name, config);
  return layer >= 0 ? layer : config.num_layers;
}

/// Norms, the head and routers compute in float32 whatever the model's dtype, directly on their
/// masters.
bool computes_in_float32(const engine::WeightSlot& slot) {
  return engine::is_norm(slot.kind) || engine::is_float32(slot.kind);
}

/// A block's input, and its output where its activations (the autograd graph) are stored.
struct Activation {
  at::Tensor x_TD;
  at::Tensor y_TD;
};

/// Backward from `output` with upstream gradient `output_gradient`. Accumulates the parameters'
/// gradients; returns x's (undefined where x needs none).
at::Tensor backward(const at::Tensor& output, const at::Tensor& output_gradient,
                    const at::Tensor& x, const std::vector<Parameter*>& parameters) {
  ::torch::autograd::variable_list inputs;
  for (const Parameter* parameter : parameters) inputs.push_back(parameter->compute);
  const bool x_needs_gradient = x.requires_grad();
  if (x_needs_gradient) inputs.push_back(x);
  const ::torch::autograd::variable_list gradients =
      ::torch::autograd::grad({output}, inputs, {output_gradient}, /*retain_graph=*/false,
                              /*create_graph=*/false, /*allow_unused=*/true);
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (gradients[i].defined()) parameters[i]->gradient.add_(gradients[i]);  // experts without rows
  }
  return x_needs_gradient ? gradients.back() : at::Tensor();
}

/// Number of blocks whose activations of a batch fit `activation_bytes`, at least 1: the last
/// block's backward directly follows its forward, so storing it is free.
std::int64_t num_blocks_to_store(const engine::DecoderConfig& config,
                                 const engine::TrainableOptions& options, std::int64_t num_tokens) {
  // Activations that a block stores for backward, per token: about 8 of width D in the model's
  // dtype, 6 of width D in float32 (the norms), 4 of the heads' width and 5 of width F.
  const auto width = static_cast<double>(config.hidden_size);
  const auto heads =
      static_cast<double>((config.num_heads + 2 * config.num_kv_heads) * config.head_dim);
  const auto mlp = static_cast<double>(engine::mlp_values_per_token(config));
  const double element = options.bfloat16 ? 2.0 : 4.0;
  const double per_token = element * (8 * width + 5 * mlp) + 4.0 * (6 * width + 4 * heads);
  const double fit = options.activation_bytes / (per_token * static_cast<double>(num_tokens));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(fit, 1e6)), 1,
                                  config.num_layers);
}

/// Training by autograd on a device: float32 masters, compute copies, gradients and moments there
/// (mixed precision). The last blocks store their activations; the others store their input only
/// and are recomputed in backward (Chen et al. 2016, arXiv 1604.06174, one segment per block).
class DeviceTrainableModel final : public engine::TrainableModel {
 public:
  DeviceTrainableModel(const engine::DecoderConfig& config, engine::DecoderWeights master,
                       const engine::TrainableOptions& options, const at::Device& device)
      : options_(options),
        config_(config),
        host_(std::move(master)),
        parameters_(make_parameters(device)),
        decoder_(
            config_, host_, [&](const engine::Tensor& stored, bool) { return compute_of(stored); },
            Use::kTraining,
            choose_attention_kernel(config_, options.bfloat16 ? at::kBFloat16 : at::kFloat,
                                    device)),
        optimizer_(parameters_, options.adamw) {
    for (const engine::WeightSlot& slot : slots_) *slot.tensor = engine::Tensor();  // uploaded
  }

  const engine::DecoderConfig& config() const override { return config_; }

  void zero_gradients() override {
    for (Parameter& parameter : parameters_) {
      if (parameter.trainable()) parameter.gradient.zero_();
    }
  }

  engine::BatchResult accumulate_gradients(const engine::PackedBatch& batch,
                                           const engine::ScoreLoss& loss) override {
    return with_device_errors(kAdvice, [&] { return accumulate(batch, loss); });
  }

  std::vector<float> scores(const engine::PackedBatch& batch) override {
    return with_device_errors(kAdvice, [&] {
      const at::NoGradGuard guard;
      return to_vector(decoder_.forward(decoder_.layout(batch, nullptr)));
    });
  }

  double clip_gradients(double max_norm) override {
    return with_device_errors(kAdvice,
                              [&] { return torch::clip_gradients(parameters_, max_norm); });
  }

  void step(double learning_rate) override {
    with_device_errors(kAdvice, [&] {
      optimizer_.step(learning_rate);
      refresh();
    });
  }

  engine::NamedTensors gradients() override {
    engine::NamedTensors found;
    for (const Parameter& parameter : parameters_) {
      if (parameter.trainable())
        found.emplace_back(parameter.name, copy_to_host(parameter.gradient));
    }
    return found;
  }

  engine::NamedTensors state() override {
    engine::NamedTensors found;
    for (const auto& [name, tensor] : device_state())
      found.emplace_back(name, copy_to_host(tensor));
    return found;
  }

  void restore(const engine::FindTensor& find, std::int64_t num_steps) override {
    const at::NoGradGuard guard;
    for (auto& [name, tensor] : device_state()) {
      at::Tensor target = tensor;
      target.copy_(view_of(find(name, target.sizes().vec())));
    }
    optimizer_.set_num_steps(num_steps);
    refresh();
  }

  engine::DecoderWeights& master() override {
    const at::NoGradGuard guard;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      *slots_[i].tensor = copy_to_host(parameters_[i].master);
    return host_;
  }

 private:
  static constexpr const char* kAdvice = "try a smaller --budget-tokens, or --freeze-layers";

  std::vector<Parameter> make_parameters(const at::Device& device) {
    const bool embedding_trainable = options_.train_embeddings && options_.freeze_layers == 0;
    slots_ = engine::weight_slots(host_, config_);
    std::vector<Parameter> parameters;
    for (const engine::WeightSlot& slot : slots_) {
      const std::int64_t layer = layer_of(slot, config_);
      Parameter parameter;
      parameter.name = slot.name;
      parameter.master = view_of(*slot.tensor)
                             .to(device, at::kFloat, /*non_blocking=*/false,
                                 /*copy=*/true);
      parameter.decays = slot.shape.size() > 1;
      const bool copied = options_.bfloat16 && !computes_in_float32(slot);
      parameter.compute = copied ? parameter.master.to(at::kBFloat16) : parameter.master;
      if (layer == kEmbedding ? embedding_trainable : layer >= options_.freeze_layers) {
        parameter.gradient = at::zeros_like(parameter.master);
        // The embedding's gradient is scattered row by row, without autograd: a dense gradient per
        // batch would be as large as the table.
        if (layer != kEmbedding) parameter.compute.set_requires_grad(true);
      }
      compute_by_slot_.emplace(slot.tensor, parameter.compute);
      parameters.push_back(std::move(parameter));
      layers_.push_back(layer);
    }
    return parameters;
  }

  at::Tensor compute_of(const engine::Tensor& stored) const {
    return stored.defined() ? compute_by_slot_.at(&stored) : at::Tensor();
  }

  std::vector<Parameter*> parameters_of(std::int64_t layer) {
    std::vector<Parameter*> found;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (layers_[i] == layer && parameters_[i].trainable()) found.push_back(&parameters_[i]);
    }
    return found;
  }

  /// nullptr when the embedding is frozen.
  Parameter* embedding() {
    return parameters_.front().trainable() ? &parameters_.front() : nullptr;
  }

  BlockRows rows_of(std::int64_t layer) const {
    return layer + 1 == config_.num_layers ? BlockRows::kLast : BlockRows::kAll;
  }

  std::vector<float> to_vector(const at::Tensor& scores_S) const {
    const at::Tensor host = scores_S.detach().to(at::kCPU, at::kFloat).contiguous();
    return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
  }

  void refresh() {
    const at::NoGradGuard guard;
    for (Parameter& parameter : parameters_) {
      if (!parameter.compute.is_same(parameter.master)) parameter.compute.copy_(parameter.master);
    }
  }

  std::vector<std::pair<std::string, at::Tensor>> device_state() {
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const Parameter& parameter : parameters_) {
      if (parameter.trainable()) tensors.emplace_back("w." + parameter.name, parameter.master);
    }
    for (const AdamW::Moments& moments : optimizer_.moments()) {
      tensors.emplace_back("m." + moments.name, moments.exp_avg);
      tensors.emplace_back("v." + moments.name, moments.exp_avg_sq);
    }
    return tensors;
  }

  /// Forward pass through the blocks; what backward needs and, last, the head's input.
  std::vector<Activation> run_blocks(const Layout& layout) {
    const std::int64_t first_trainable = options_.freeze_layers;
    const std::int64_t first_stored =
        config_.num_layers - num_blocks_to_store(config_, options_, layout.num_tokens);
    std::vector<Activation> activations(static_cast<std::size_t>(config_.num_layers) + 1);
    at::Tensor x;
    {
      const at::NoGradGuard guard;
      x = decoder_.embed(layout);
    }
    for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
      Activation& activation = activations[static_cast<std::size_t>(layer)];
      const bool trainable = layer >= first_trainable;
      if (trainable) {
        activation.x_TD =
            x.detach().requires_grad_(layer > first_trainable || embedding() != nullptr);
      }
      const at::AutoGradMode mode(trainable && layer >= first_stored);
      const at::Tensor y =
          decoder_.block(layer, trainable ? activation.x_TD : x, layout, rows_of(layer));
      if (trainable && layer >= first_stored) activation.y_TD = y;
      x = y.detach();
    }
    activations.back().x_TD = x.requires_grad_(true);
    return activations;
  }

  /// The pad token's row gets no gradient, as in torch's Embedding with `padding_idx` (which
  /// transformers' models set).
  void add_embedding_gradient(const Layout& layout, const at::Tensor& gradient_TD) {
    const at::NoGradGuard guard;
    const at::Tensor& sum_VD = embedding()->gradient;
    sum_VD.index_add_(/*dim=*/0, layout.ids_T, gradient_TD.to(at::kFloat),
                      /*alpha=*/decoder_.embedding_scale());
    const std::int64_t pad = config_.pad_token_id;
    if (pad >= 0 && pad < sum_VD.size(0)) sum_VD.select(/*dim=*/0, pad).zero_();
  }

  engine::BatchResult accumulate(const engine::PackedBatch& batch, const engine::ScoreLoss& loss) {
    const Layout layout = decoder_.layout(batch, nullptr);
    std::vector<Activation> activations = run_blocks(layout);
    engine::BatchResult result;
    at::Tensor gradient;
    {
      const at::AutoGradMode grad_on(true);
      const at::Tensor& x_SD = activations.back().x_TD;
      const at::Tensor scores_S = decoder_.head(x_SD);
      result.scores_S = to_vector(scores_S);
      const engine::ScoreGradient of_scores = loss(result.scores_S);
      result.loss = of_scores.loss;
      const at::Tensor upstream_S =
          to_device(of_scores.gradient_S, scores_S.device()).view(scores_S.sizes());
      gradient = backward(scores_S, upstream_S, x_SD, parameters_of(config_.num_layers));
    }
    for (std::int64_t layer = config_.num_layers - 1; layer >= options_.freeze_layers; --layer) {
      const Activation activation = std::exchange(activations[static_cast<std::size_t>(layer)], {});
      at::Tensor y = activation.y_TD;
      if (!y.defined()) {
        const at::AutoGradMode grad_on(true);
        y = decoder_.block(layer, activation.x_TD, layout, rows_of(layer));
      }
      gradient = backward(y, gradient, activation.x_TD, parameters_of(layer));
    }
    if (embedding() != nullptr) add_embedding_gradient(layout, gradient);
    return result;
  }

  engine::TrainableOptions options_;
  engine::DecoderConfig config_;
  engine::DecoderWeights host_;
  std::vector<engine::WeightSlot> slots_;  ///< of `host_`, in the order of the parameters
  std::map<const engine::Tensor*, at::Tensor> compute_by_slot_;
  std::vector<std::int64_t> layers_;  ///< of each parameter: -1 embedding, 0 .. num_layers - 1
                                      ///< blocks, num_layers final norm and head
  std::vector<Parameter> parameters_;
  Decoder decoder_;
  AdamW optimizer_;
};

}  // namespace

std::unique_ptr<engine::TrainableModel> make_trainable_model(
    const engine::DecoderConfig& config, engine::DecoderWeights master,
    const engine::TrainableOptions& options, engine::DeviceChoice device) {
  if (options.freeze_layers < 0 || options.freeze_layers >= config.num_layers) {
    throw Error(ErrorKind::kUsage,
                "--freeze-layers {}: the model has {} layers, and at least one must be trained",
                options.freeze_layers, config.num_layers);
  }
  return with_device_errors("use --device cpu, or --freeze-layers", [&] {
    return std::make_unique<DeviceTrainableModel>(config, std::move(master), options,
                                                  device_of(device));
  });
}

}  // namespace charm::torch
