// What libcharm_torch.so exports, and nothing else: see engine/plugin.h.
#include "charm/engine/plugin.h"

#include <ATen/Context.h>

#include "charm/base/log.h"
#include "charm/engine/plugin_interface.h"
#include "charm/torch/back_end.h"

namespace charm::torch {
namespace {

class TorchBackend final : public engine::DeviceBackend {
 public:
  bool has_gpu() const override { return at::globalContext().hasCUDA(); }

  std::unique_ptr<engine::RewardModel> load_reward_model(
      const engine::ModelSource& source, const engine::DecoderConfig& config,
      const engine::RewardModelOptions& options) const override {
    return torch::load_reward_model(source, config, options);
  }

  std::unique_ptr<engine::CausalLM> load_causal_lm(
      const engine::ModelSource& source, const engine::DecoderConfig& config,
      const engine::CausalLMOptions& options) const override {
    return torch::load_causal_lm(source, config, options);
  }

  std::unique_ptr<engine::TrainableModel> make_trainable_model(
      const engine::DecoderConfig& config, engine::DecoderWeights master,
      const engine::TrainableOptions& options, engine::DeviceChoice device) const override {
    return torch::make_trainable_model(config, std::move(master), options, device);
  }
};

}  // namespace
}  // namespace charm::torch

extern "C" {

__attribute__((visibility("default"))) const char* charm_torch_interface() {
  return charm::engine::kPluginInterface;
}

__attribute__((visibility("default"))) const charm::engine::DeviceBackend* charm_torch_backend(
    int log_level) {
  charm::log::set_level(static_cast<charm::log::Level>(log_level));
  static const charm::torch::TorchBackend kBackend;
  return &kBackend;
}

}  // extern "C"
