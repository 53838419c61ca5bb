#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/engine/head.h"
#include "charm/engine/trainable_model.h"
#include "charm/engine/training_block.h"
#include "charm/engine/weight_names.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/row_gradients.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

// T packed tokens, S responses, D model width, V vocabulary.

/// A trainable weight.
struct Parameter {
  std::string name;  ///< Hugging Face name
  Tensor master, gradient;
  Tensor exp_avg, exp_avg_sq;  ///< AdamW's moments
  bool decays = false;         ///< weight decay applies
};

/// Layer of a weight: -1 the embedding, num_layers final norm and head.
std::int64_t layer_of(const WeightSlot& slot, const DecoderConfig& config) {
  if (slot.kind == WeightShape::kEmbedding) return -1;
  const std::int64_t layer = layer_of_weight(slot.name, config);
  return layer >= 0 ? layer : config.num_layers;
}

void convert_elements(const float* from, float* to, std::int64_t count) {
  std::copy_n(from, count, to);
}
void convert_elements(const float* from, BFloat16* to, std::int64_t count) {
  kernels::round_elements(from, to, count);
}

template <typename Element>
class CpuTrainableModel final : public TrainableModel {
  static constexpr DType kDType = dtype_of<Element>();

 public:
  CpuTrainableModel(const DecoderConfig& config, DecoderWeights master,
                    const TrainableOptions& options)
      : config_(config),
        options_(options),
        master_(std::move(master)),
        angles_(rope_angles(config)),
        saved_(static_cast<std::size_t>(config.num_layers)),
        inputs_(saved_.size() + 1) {
    const bool trains_embedding = options_.train_embeddings && options_.freeze_layers == 0;
    const std::vector<WeightSlot> masters = weight_slots(master_, config_);
    const std::vector<WeightSlot> gradients = weight_slots(gradients_, config_);
    for (std::size_t i = 0; i < masters.size(); ++i) {
      const std::int64_t layer = layer_of(masters[i], config_);
      if (layer < 0 ? !trains_embedding : layer < options_.freeze_layers) continue;
      const Tensor& weight = *masters[i].tensor;
      const auto zeros = [&] { return Tensor::zeros(weight.shape(), DType::kFloat32); };
      *gradients[i].tensor = zeros();
      parameters_.push_back({masters[i].name, weight, *gradients[i].tensor, zeros(), zeros(),
                             masters[i].shape.size() > 1});
    }
    for (std::size_t layer = 0; layer < saved_.size(); ++layer) {
      blocks_.emplace_back(config_, layer, split_fused(config_, master_.blocks[layer]),
                           split_fused(config_, gradients_.blocks[layer]));
    }
    head_ = {master_.final_norm_D, master_.head};
    head_gradients_ = {gradients_.final_norm_D, gradients_.head};
    embedding_scale_ = static_cast<float>(config_.embedding_scale);
    if constexpr (!std::is_same_v<Element, float>) {
      BFloat16 rounded;  // as transformers does: sqrt(3072) = 55.4 is 55.5 in bfloat16
      kernels::round_elements(&embedding_scale_, &rounded, 1);
      embedding_scale_ = kernels::widened(rounded);
    }
  }

  const DecoderConfig& config() const override { return config_; }
  DecoderWeights& master() override { return master_; }

  void zero_gradients() override {
    for (Parameter& p : parameters_)
      std::fill_n(p.gradient.template mutable_data<float>(), p.gradient.numel(), 0.0f);
  }

  BatchResult accumulate_gradients(const PackedBatch& packed, const ScoreLoss& loss) override {
    const TrainingBatch batch = make_training_batch(packed, angles_);
    plan(batch.num_tokens());
    run_blocks(batch, /*save=*/true);
    const Tensor x_SD = last_hidden(batch);
    HeadActivations activations = head_forward(config_, head_, x_SD);
    const ScoreGradient gradient = loss(activations.scores_S);
    const Tensor d_SD =
        head_backward(config_, head_, x_SD, activations, gradient.gradient_S, head_gradients_);
    auto* dy = d_last_.take<Element>(d_SD.numel());
    convert_elements(d_SD.data<float>(), dy, d_SD.numel());
    auto* dx = d_stream_.take<Element>(batch.num_tokens() * config_.hidden_size);
    for (std::int64_t layer = config_.num_layers - 1; layer >= options_.freeze_layers; --layer) {
      const auto at = static_cast<std::size_t>(layer);
      blocks_[at].backward({batch, rows_of(batch, layer), inputs_[at].template get<Element>(),
                            saved(layer), workspace_},
                           dy, dx);
      dy = dx;
    }
    if (gradients_.embed_VD.defined()) {
      kernels::add_embedding_gradient<Element>(batch.ids_T, dx, config_.hidden_size,
                                               embedding_scale_, config_.pad_token_id,
                                               gradients_.embed_VD.template mutable_data<float>());
    }
    return {gradient.loss, std::move(activations.scores_S)};
  }

  std::vector<float> scores(const PackedBatch& packed) override {
    const TrainingBatch batch = make_training_batch(packed, angles_);
    run_blocks(batch, /*save=*/false);
    return head_forward(config_, head_, last_hidden(batch)).scores_S;
  }

  double clip_gradients(double max_norm) override {
    double squares = 0.0;
    for (const Parameter& p : parameters_)
      squares += kernels::sum_of_squares(p.gradient.template data<float>(), p.gradient.numel());
    const double norm = std::sqrt(squares);
    // torch adds 1e-6 to the norm and never scales up.
    const double factor = max_norm / (norm + 1e-6);
    if (max_norm > 0.0 && factor < 1.0) {
      for (Parameter& p : parameters_) {
        kernels::scale(p.gradient.template mutable_data<float>(), static_cast<float>(factor),
                       p.gradient.numel());
      }
    }
    return norm;
  }

  void step(double learning_rate) override {
    ++num_steps_;
    for (Parameter& p : parameters_) {
      kernels::adamw_step(p.master.template mutable_data<float>(),
                          p.gradient.template data<float>(),
                          p.exp_avg.template mutable_data<float>(),
                          p.exp_avg_sq.template mutable_data<float>(), p.master.numel(),
                          {.learning_rate = learning_rate,
                           .beta1 = options_.adamw.beta1,
                           .beta2 = options_.adamw.beta2,
                           .eps = options_.adamw.eps,
                           .weight_decay = p.decays ? options_.adamw.weight_decay : 0.0,
                           .step = num_steps_});
    }
    refresh();
  }

  NamedTensors gradients() override {
    NamedTensors all;
    for (const Parameter& p : parameters_) all.emplace_back(p.name, p.gradient);
    return all;
  }

  NamedTensors state() override {
    NamedTensors all;
    for (const Parameter& p : parameters_) all.emplace_back("w." + p.name, p.master);
    for (const bool decays : {true, false}) {
      for (const Parameter& p : parameters_) {
        if (p.decays != decays) continue;
        all.emplace_back("m." + p.name, p.exp_avg);
        all.emplace_back("v." + p.name, p.exp_avg_sq);
      }
    }
    return all;
  }

  void restore(const FindTensor& find, std::int64_t num_steps) override {
    for (auto& [name, tensor] : state()) {
      Tensor to = tensor;
      to.copy_from(find(name, tensor.shape()));
    }
    num_steps_ = num_steps;
    refresh();
  }

 private:
  void refresh() {
    for (TrainingBlock<Element>& block : blocks_) {
      if (block.is_trainable()) block.refresh();
    }
  }

  const QueryRows& rows_of(const TrainingBatch& batch, std::int64_t layer) const {
    return layer + 1 == config_.num_layers ? batch.last : batch.all;
  }

  /// Blocks that keep their input alone share one set of activations.
  SavedActivations& saved(std::int64_t layer) {
    const auto at = static_cast<std::size_t>(layer);
    return stored_.at(at) == Stored::kInput ? recomputed_ : saved_[at];
  }

  /// For the largest batch so far.
  void plan(std::int64_t tokens) {
    if (tokens <= planned_tokens_) return;
    stored_ = plan_activations(config_, options_.freeze_layers, tokens, sizeof(Element),
                               options_.activation_bytes);
    planned_tokens_ = tokens;
    for (std::size_t layer = 0; layer < saved_.size(); ++layer) {
      if (saved_[layer].stored != stored_[layer]) saved_[layer] = SavedActivations();
      saved_[layer].stored = stored_[layer];
    }
  }

  Element* embed(const TrainingBatch& batch, TrainingBuffer& to) {
    const std::int64_t width = config_.hidden_size;
    auto* x = to.take<Element>(batch.num_tokens() * width);
    const auto* table = master_.embed_VD.data<float>();
    kernels::parallel_for_ranges(
        batch.num_tokens(), /*grain=*/64, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t t = begin; t < end; ++t) {
            convert_elements(table + batch.ids_T[static_cast<std::size_t>(t)] * width,
                             x + t * width, width);
          }
        });
    if (embedding_scale_ != 1.0f) kernels::scale(x, embedding_scale_, batch.num_tokens() * width);
    return x;
  }

  /// Blocks before the first trainable one, and all blocks without `save`, keep nothing: their
  /// inputs alternate between two buffers.
  void run_blocks(const TrainingBatch& batch, bool save) {
    const auto buffer = [&](std::int64_t layer) -> TrainingBuffer& {
      const bool kept = layer == config_.num_layers || (save && layer >= options_.freeze_layers);
      return kept ? inputs_[static_cast<std::size_t>(layer)] : unkept_inputs_[layer % 2];
    };
    const Element* x = embed(batch, buffer(0));
    for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
      const QueryRows& rows = rows_of(batch, layer);
      auto* y = buffer(layer + 1).template take<Element>(rows.count * config_.hidden_size);
      const bool kept = save && layer >= options_.freeze_layers;
      blocks_[static_cast<std::size_t>(layer)].forward(
          {batch, rows, x, kept ? saved(layer) : recomputed_, workspace_}, y);
      x = y;
    }
  }

  /// The last block's output as float32, [S, D].
  Tensor last_hidden(const TrainingBatch& batch) {
    const Tensor x = Tensor::over(nullptr, inputs_.back().template get<Element>(),
                                  {batch.num_responses(), config_.hidden_size}, kDType);
    Tensor copy = Tensor::empty(x.shape(), DType::kFloat32);
    copy.copy_from(x);
    return copy;
  }

  DecoderConfig config_;
  TrainableOptions options_;
  DecoderWeights master_, gradients_;
  std::vector<RopeAngles> angles_;
  std::vector<Parameter> parameters_;
  std::vector<TrainingBlock<Element>> blocks_;
  HeadParts head_, head_gradients_;
  float embedding_scale_ = 1.0f;
  std::int64_t num_steps_ = 0;
  std::int64_t planned_tokens_ = 0;
  std::vector<Stored> stored_;
  std::vector<SavedActivations> saved_;
  SavedActivations recomputed_;
  std::vector<TrainingBuffer> inputs_;  ///< of each block; the last is the head's
  TrainingBuffer unkept_inputs_[2];
  TrainingBuffer d_last_, d_stream_;
  TrainingWorkspace workspace_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_trainable_model(const DecoderConfig& config,
                                                     DecoderWeights master,
                                                     const TrainableOptions& options) {
  CHARM_CHECK(options.freeze_layers < config.num_layers, "every layer is frozen");
  if (options.bfloat16)
    return std::make_unique<CpuTrainableModel<BFloat16>>(config, std::move(master), options);
  return std::make_unique<CpuTrainableModel<float>>(config, std::move(master), options);
}

}  // namespace charm::engine
