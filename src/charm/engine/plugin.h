#pragma once

#include <filesystem>
#include <memory>

#include "charm/engine/causal_lm.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/trainable_model.h"

// The GPU back end is a shared library, libcharm_torch.so, so that the program needs no LibTorch.
// It is looked for when a GPU is asked for: at $CHARM_TORCH_PLUGIN, otherwise beside the program
// (or libcharm.so), then in lib/ beside its folder.
namespace charm::engine {

/// Makes models that run on another device than the CPU; what a plug-in offers.
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

/// Names that a plug-in exports.
inline constexpr const char* kPluginInterfaceSymbol = "charm_torch_interface";
inline constexpr const char* kPluginBackendSymbol = "charm_torch_backend";
/// Returns kPluginInterface of the generated engine/plugin_interface.h: the program's version and a
/// digest of the headers that both sides compile.
using PluginInterfaceFunction = const char*();
/// @param log_level  of charm::log, whose setting the plug-in has a copy of
using PluginBackendFunction = const DeviceBackend*(int log_level);

/// Loads the plug-in at `path`; it stays loaded. Throws kResource where it cannot be loaded, or is
/// of another version.
const DeviceBackend& load_plugin(const std::filesystem::path& path);

/// The back end of `--device`; null: the CPU. With kAuto the GPU is taken where a driver is
/// installed and the plug-in loads and sees one; a plug-in that does not load is a warning. With
/// kCuda all of that is kResource.
const DeviceBackend* gpu_backend(DeviceChoice choice);

}  // namespace charm::engine
