#pragma once

#include <memory>

#include "charm/engine/causal_lm.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/trainable_model.h"

// The models that the plug-in makes, for `DeviceBackend`.
namespace charm::torch {

std::unique_ptr<engine::RewardModel> load_reward_model(const engine::ModelSource& source,
                                                       const engine::DecoderConfig& config,
                                                       const engine::RewardModelOptions& options);

std::unique_ptr<engine::CausalLM> load_causal_lm(const engine::ModelSource& source,
                                                 const engine::DecoderConfig& config,
                                                 const engine::CausalLMOptions& options);

std::unique_ptr<engine::TrainableModel> make_trainable_model(
    const engine::DecoderConfig& config, engine::DecoderWeights master,
    const engine::TrainableOptions& options, engine::DeviceChoice device);

}  // namespace charm::torch
