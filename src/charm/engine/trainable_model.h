#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/tensor.h"
#include "charm/engine/token_batch.h"

namespace charm::engine {

// S responses.

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;  ///< of matrices; not of norms and biases, as in transformers' Trainer
};

struct TrainableOptions {
  bool bfloat16 = false;           ///< forward and backward pass; masters and optimiser are float32
  bool train_embeddings = true;    ///< false freezes the token embeddings
  std::int64_t freeze_layers = 0;  ///< freezes the embeddings and the first N layers
  /// Memory for stored activations; what does not fit is recomputed in backward. 0: recompute all.
  /// The gradients are the same.
  double activation_bytes = 0.0;
  AdamWOptions adamw{};
};

/// A loss and its gradient by the scores.
struct ScoreGradient {
  double loss = 0.0;
  std::vector<float> gradient_S;
};

/// Scores in packed order -> loss and gradient.
using ScoreLoss = std::function<ScoreGradient(std::span<const float> scores_S)>;

struct BatchResult {
  double loss = 0.0;
  std::vector<float> scores_S;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// Finds a checkpointed tensor by name and shape; throws where there is none.
using FindTensor = std::function<Tensor(const std::string& name, const Tensor::Shape& shape)>;

/// A reward model in training: float32 master weights, their gradients, AdamW and its state. One
/// back end for the CPU, one in torch/. Not thread-safe.
class TrainableModel {
 public:
  virtual ~TrainableModel() = default;

  virtual const DecoderConfig& config() const = 0;

  /// Default token budget of a batch.
  virtual std::int64_t budget_tokens() const { return 4096; }

  virtual void zero_gradients() = 0;
  /// Forward and backward pass of one batch; adds d loss / d weight to the gradients.
  virtual BatchResult accumulate_gradients(const PackedBatch& batch, const ScoreLoss& loss) = 0;
  /// Forward pass alone.
  virtual std::vector<float> scores(const PackedBatch& batch) = 0;
  /// Clips the global L2 norm of the gradients to `max_norm` (0: no clipping), as
  /// torch.nn.utils.clip_grad_norm_.
  /// @return  the norm before clipping
  virtual double clip_gradients(double max_norm) = 0;
  /// One step of AdamW with the gradients.
  virtual void step(double learning_rate) = 0;

  /// Gradients of the trainable weights by Hugging Face name, float32 on the host.
  virtual NamedTensors gradients() = 0;
  /// Trainable weights and AdamW's moments as "w.NAME", "m.NAME" (exp_avg) and "v.NAME"
  /// (exp_avg_sq), float32 on the host, for a checkpoint.
  virtual NamedTensors state() = 0;
  /// Restores what `state` gave, after `num_steps` steps.
  virtual void restore(const FindTensor& find, std::int64_t num_steps) = 0;
  /// The float32 weights on the host, for saving.
  virtual DecoderWeights& master() = 0;
};

/// Default token budget on a CPU: more would keep more activations and be no faster.
inline constexpr std::int64_t kCpuTrainingTokens = 1024;

/// The CPU back end. `master` in float32, with a head that can be trained; shared, not copied.
std::unique_ptr<TrainableModel> make_trainable_model(const DecoderConfig& config,
                                                     DecoderWeights master,
                                                     const TrainableOptions& options);

}  // namespace charm::engine
