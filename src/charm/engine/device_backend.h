#pragma once

#include <memory>

#include "charm/engine/causal_lm.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/trainable_model.h"

namespace charm::engine {

/// Makes models that run on another device than the CPU; what a plug-in offers (engine/plugin.h).
/// `options.device` is kCuda, or kCpu in tests: the same code on a CPU. Models throw charm::Error
/// only. Thread-safe.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;

  /// Whether a GPU is visible to this process. Starts the driver.
  virtual bool has_gpu() const = 0;

  virtual std::unique_ptr<RewardModel> load_reward_model(
      const ModelSource& source, const DecoderConfig& config,
      const RewardModelOptions& options) const = 0;

  virtual std::unique_ptr<CausalLM> load_causal_lm(const ModelSource& source,
                                                   const DecoderConfig& config,
                                                   const CausalLMOptions& options) const = 0;

  /// @param master  float32, on the host
  virtual std::unique_ptr<TrainableModel> make_trainable_model(const DecoderConfig& config,
                                                               DecoderWeights master,
                                                               const TrainableOptions& options,
                                                               DeviceChoice device) const = 0;
};

}  // namespace charm::engine
