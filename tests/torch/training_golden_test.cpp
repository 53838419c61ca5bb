// Training by the GPU back end on a CPU against transformers: loss and gradient of every tensor of
// every family and head, one AdamW step and ten, and a checkpoint that continues with the same
// bits.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/engine/trainable_model.h"
#include "charm/torch/back_end.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/golden/trained_models.h"
#include "tests/support/expect_error.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<engine::TrainableModel> trainable(const fs::path& folder,
                                                  const engine::TrainableOptions& options = {}) {
  const engine::DecoderConfig config = engine::load_model_config(folder);
  return torch::make_trainable_model(config, load_float32(folder, config), options,
                                     engine::DeviceChoice::kCpu);
}

// --- Every family and head.

class TorchFamilyTraining : public testing::TestWithParam<const char*> {
 protected:
  const fs::path folder_ = data_dir() / "models" / GetParam();
};

INSTANTIATE_TEST_SUITE_P(Models, TorchFamilyTraining,
                         testing::Values("yarn-rope", "dynamic-rope", "longrope", "mistral",
                                         "qwen2", "qwen2-layer-types", "qwen3", "qwen3-head-dim",
                                         "gemma2", "gemma3", "gemma", "olmo2", "olmo3", "mixtral",
                                         "qwen3-moe", "phi3", "phi4-mini", "gemma3-wrapper",
                                         "qwen2.5-vl", "qwen2-vl", "qwen3-vl", "inf-orm", "grm",
                                         "grm-linear", "regression-head-mistral",
                                         "qwen2-reward-model"),
                         [](const auto& test) { return test_name(test.param); });

TEST_P(TorchFamilyTraining, GradientsEqualTransformers) {
  const Json fixture = read_json(folder_ / "golden.json");
  const auto model = trainable(folder_);
  model->accumulate_gradients(pack_rows(fixture["rows"], model->config().pad_token_id, {}), sum_of);
  compare_norms_and_sums(model->gradients(), fixture);
}

// Stored activations and recomputed ones give the same gradients; frozen weights have none.
TEST_P(TorchFamilyTraining, RecomputedBlocksGiveTheSameGradients) {
  const Json fixture = read_json(folder_ / "golden.json");
  const engine::DecoderConfig config = engine::load_model_config(folder_);
  const engine::PackedBatch batch = pack_rows(fixture["rows"], config.pad_token_id, {});
  const auto recomputed = trainable(folder_),
             stored = trainable(folder_, {.activation_bytes = 1e12});
  const auto frozen = trainable(folder_, {.freeze_layers = 1});
  for (const auto* model : {&recomputed, &stored, &frozen})
    (*model)->accumulate_gradients(batch, sum_of);
  std::map<std::string, std::vector<float>> expected;
  for (const auto& [name, tensor] : recomputed->gradients())
    expected[name] = {tensor.data<float>(), tensor.data<float>() + tensor.numel()};
  for (const auto* model : {&stored, &frozen}) {
    for (const auto& [name, tensor] : (*model)->gradients()) {
      EXPECT_EQ((std::vector<float>(tensor.data<float>(), tensor.data<float>() + tensor.numel())),
                expected.at(name))
          << name;
    }
  }
  EXPECT_LT(frozen->gradients().size(), expected.size());
}

// --- A Bradley-Terry batch, and optimiser steps.

class TorchTraining : public testing::Test {
 protected:
  engine::TrainableOptions options() const {
    const Json& given = fixture_["options"];
    return {.adamw = {.beta1 = given["adam_beta1"],
                      .beta2 = given["adam_beta2"],
                      .eps = given["adam_eps"],
                      .weight_decay = given["weight_decay"]}};
  }

  /// One step with the fixture's learning rate; loss and gradient norm.
  std::pair<double, double> step(engine::TrainableModel& model, const Json& expected) const {
    model.zero_gradients();
    const double loss = model.accumulate_gradients(pairs_.batch, bradley_terry(pairs_)).loss;
    const double norm = model.clip_gradients(fixture_["options"]["clip_norm"]);
    model.step(expected["learning_rate"]);
    return {loss, norm};
  }

  void compare_weights(engine::TrainableModel& model, const std::string& run) const {
    compare_tensors("weights after " + run, named_tensors(model.master(), model.config()),
                    load_float32(root_ / run, model.config()), model.config(),
                    fixture_["tolerance"][run].get<double>());
  }

  const fs::path root_ = data_dir() / "train";
  const Json fixture_ = read_json(root_ / "golden.json");
  const Pairs pairs_ =
      pack_pairs(fixture_["pairs"], engine::load_model_config(root_ / "model").pad_token_id);
};

TEST_F(TorchTraining, LossAndEveryGradientEqualTransformers) {
  compare_pair_gradients(*trainable(root_ / "model", options()));
}

TEST_F(TorchTraining, OneStepAndTenGiveTheWeightsOfTransformers) {
  for (const std::string run : {"step1", "step10"}) {
    const Json& steps = run == "step1" ? fixture_["step1"] : fixture_["step10"]["steps"];
    const auto model = trainable(root_ / "model", options());
    Worst loss("loss of each step"), norm("gradient norm of each step");
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto [found_loss, found_norm] = step(*model, steps[i]);
      loss.add(found_loss, steps[i]["loss"].get<double>(), "step " + std::to_string(i));
      norm.add(found_norm, steps[i]["grad_norm"].get<double>(), "step " + std::to_string(i));
    }
    loss.check(fixture_["tolerance"]["loss"].get<double>());
    norm.check(fixture_["tolerance"]["loss"].get<double>());
    compare_weights(*model, run);
  }
}

TEST_F(TorchTraining, ARestoredStateContinuesWithTheSameBits) {
  const Json& steps = fixture_["step10"]["steps"];
  for (const bool bfloat16 : {false, true}) {
    engine::TrainableOptions chosen = options();
    chosen.bfloat16 = bfloat16;
    const auto whole = trainable(root_ / "model", chosen),
               first = trainable(root_ / "model", chosen),
               second = trainable(root_ / "model", chosen);
    for (std::size_t i = 0; i < 6; ++i) step(*whole, steps[i]);
    for (std::size_t i = 0; i < 3; ++i) step(*first, steps[i]);
    const engine::NamedTensors state = first->state();
    second->restore(
        [&](const std::string& name, const std::vector<std::int64_t>& shape) {
          for (const auto& [stored, tensor] : state) {
            if (stored == name && tensor.shape() == shape) return tensor;
          }
          ADD_FAILURE() << name << " is not in the state";
          return engine::Tensor::zeros(shape, engine::DType::kFloat32);
        },
        /*num_steps=*/3);
    for (std::size_t i = 3; i < 6; ++i) step(*second, steps[i]);
    const auto expected = engine::named_weights(whole->master(), whole->config()),
               found = engine::named_weights(second->master(), second->config());
    for (std::size_t n = 0; n < expected.size(); ++n) {
      const auto& [name, tensor] = expected[n];
      EXPECT_EQ(
          (std::vector<float>(tensor->data<float>(), tensor->data<float>() + tensor->numel())),
          (std::vector<float>(found[n].second->data<float>(),
                              found[n].second->data<float>() + tensor->numel())))
          << name;
    }
    EXPECT_EQ(whole->scores(pairs_.batch), second->scores(pairs_.batch));
  }
}

TEST_F(TorchTraining, FreezingEveryLayerIsRefused) {
  EXPECT_ERROR(kUsage, "--freeze-layers 99", trainable(root_ / "model", {.freeze_layers = 99}));
}

}  // namespace
}  // namespace charm::golden
