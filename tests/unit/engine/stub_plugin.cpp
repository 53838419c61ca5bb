// Plug-ins without LibTorch, for the loader: of this version and without a GPU, of another version
// (STUB_OTHER_VERSION), and no plug-in at all (STUB_NOT_A_PLUGIN).
#include "charm/engine/plugin.h"
#include "charm/engine/plugin_interface.h"

namespace charm::engine {
namespace {

class NoGpu final : public DeviceBackend {
 public:
  bool has_gpu() const override { return false; }
  std::unique_ptr<RewardModel> load_reward_model(const ModelSource&, const DecoderConfig&,
                                                 const RewardModelOptions&) const override {
    return nullptr;
  }
  std::unique_ptr<CausalLM> load_causal_lm(const ModelSource&, const DecoderConfig&,
                                           const CausalLMOptions&) const override {
    return nullptr;
  }
  std::unique_ptr<TrainableModel> make_trainable_model(const DecoderConfig&, DecoderWeights,
                                                       const TrainableOptions&,
                                                       DeviceChoice) const override {
    return nullptr;
  }
};

}  // namespace
}  // namespace charm::engine

#ifndef STUB_NOT_A_PLUGIN
extern "C" {

const char* charm_torch_interface() {
#ifdef STUB_OTHER_VERSION
  return "0.0.1 (interface 0123456789ab)";
#else
  return charm::engine::kPluginInterface;
#endif
}

const charm::engine::DeviceBackend* charm_torch_backend(int) {
  static const charm::engine::NoGpu kBackend;
  return &kBackend;
}

}  // extern "C"
#endif
