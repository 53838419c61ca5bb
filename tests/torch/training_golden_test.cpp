// Training by the GPU back end on a CPU against transformers: loss and gradient of every tensor of
// every family and head, one AdamW step and ten, and a checkpoint that continues with the same
// bits.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/trainable_model.h"
#include "charm/torch/back_end.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/support/expect_error.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

constexpr double kRelativeTolerance = 1e-5;

engine::DecoderWeights load(const fs::path& folder, const engine::DecoderConfig& config) {
  return engine::load_weights(folder, config, {.dtype = engine::DType::kFloat32});
}

std::unique_ptr<engine::TrainableModel> trainable(const fs::path& folder,
                                                  const engine::TrainableOptions& options = {}) {
  const engine::DecoderConfig config = engine::load_model_config(folder);
  return torch::make_trainable_model(config, load(folder, config), options,
                                     engine::DeviceChoice::kCpu);
}

/// The sum of the scores as a loss.
engine::ScoreGradient sum_of(std::span<const float> scores_S) {
  engine::ScoreGradient result{.loss = 0.0,
                               .gradient_S = std::vector<float>(scores_S.size(), 1.0F)};
  for (const float score : scores_S) result.loss += score;
  return result;
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
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

// Each tensor's gradient is compared by its norm and its sum, relative to the norm: a misplaced
// element changes one of them.
TEST_P(TorchFamilyTraining, GradientsEqualTransformers) {
  const Json fixture = read_json(folder_ / "golden.json");
  const engine::DecoderConfig config = engine::load_model_config(folder_);
  const engine::PackedBatch batch = pack_rows(fixture["rows"], config.pad_token_id, {});
  const auto model = trainable(folder_);
  model->accumulate_gradients(batch, sum_of);
  const engine::NamedTensors gradients = model->gradients();
  ASSERT_EQ(gradients.size(), fixture["gradients"].size());
  Worst worst("gradients, relative");
  for (const auto& [name, tensor] : gradients) {
    const Json& expected = fixture["gradients"].at(name);
    const double norm = expected[0].get<double>();
    double squares = 0.0, sum = 0.0;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double value = tensor.data<float>()[i];
      squares += value * value;
      sum += value;
    }
    if (norm == 0.0) {  // an expert that computes no row
      EXPECT_EQ(squares, 0.0) << name;
      continue;
    }
    worst.add(std::sqrt(squares) / norm, 1.0, name + " norm");
    worst.add(sum / norm, expected[1].get<double>() / norm, name + " sum");
  }
  worst.check(kRelativeTolerance);
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

struct Pairs {
  engine::PackedBatch batch;
  std::vector<std::size_t> chosen, rejected;  ///< rows of the scores
};

/// Pairs of the fixture, each sharing its prompt.
Pairs pack_pairs(const Json& pairs, std::int32_t pad_token_id) {
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  for (const Json& pair : pairs) {
    const auto chosen = pair["chosen"].get<std::vector<std::int32_t>>();
    const auto rejected = pair["rejected"].get<std::vector<std::int32_t>>();
    std::size_t shared = 0;
    while (shared + 1 < chosen.size() && shared + 1 < rejected.size() &&
           chosen[shared] == rejected[shared])
      ++shared;
    for (const auto& side : {chosen, rejected}) {
      rows.emplace_back(rows.size(), engine::make_pooled_row(
                                         side, static_cast<std::int64_t>(shared), pad_token_id));
    }
  }
  Pairs packed{.batch = engine::pack(engine::group_by_prompt(std::move(rows))),
               .chosen = std::vector<std::size_t>(pairs.size()),
               .rejected = std::vector<std::size_t>(pairs.size())};
  for (std::size_t s = 0; s < packed.batch.rows.size(); ++s) {
    const std::size_t row = packed.batch.rows[s];
    (row % 2 == 0 ? packed.chosen : packed.rejected)[row / 2] = s;
  }
  return packed;
}

/// The mean over pairs of -log sigmoid(r_chosen - r_rejected).
engine::ScoreLoss bradley_terry(const Pairs& pairs) {
  return [&pairs](std::span<const float> scores_S) {
    engine::ScoreGradient result{.loss = 0.0, .gradient_S = std::vector<float>(scores_S.size())};
    const auto n = static_cast<double>(pairs.chosen.size());
    for (std::size_t p = 0; p < pairs.chosen.size(); ++p) {
      const double d = static_cast<double>(scores_S[pairs.chosen[p]]) - scores_S[pairs.rejected[p]];
      result.loss += std::log1p(std::exp(-d)) / n;
      const auto slope = static_cast<float>(1.0 / (1.0 + std::exp(d)) / n);
      result.gradient_S[pairs.chosen[p]] -= slope;
      result.gradient_S[pairs.rejected[p]] += slope;
    }
    return result;
  };
}

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
    engine::DecoderWeights expected = load(root_ / run, model.config());
    const auto wanted = engine::named_weights(expected, model.config());
    const auto found = engine::named_weights(model.master(), model.config());
    ASSERT_EQ(found.size(), wanted.size());
    Worst worst("weights after " + run);
    for (std::size_t n = 0; n < wanted.size(); ++n) {
      ASSERT_EQ(found[n].first, wanted[n].first);
      for (std::int64_t i = 0; i < wanted[n].second->numel(); ++i) {
        worst.add(found[n].second->data<float>()[i], wanted[n].second->data<float>()[i],
                  found[n].first + " element " + std::to_string(i));
      }
    }
    worst.check(fixture_["tolerance"][run].get<double>());
  }

  const fs::path root_ = data_dir() / "train";
  const Json fixture_ = read_json(root_ / "golden.json");
  const Pairs pairs_ =
      pack_pairs(fixture_["pairs"], engine::load_model_config(root_ / "model").pad_token_id);
};

TEST_F(TorchTraining, LossAndEveryGradientEqualTransformers) {
  const auto model = trainable(root_ / "model", options());
  const engine::BatchResult result =
      model->accumulate_gradients(pairs_.batch, bradley_terry(pairs_));
  Worst worst_score("score"), worst_loss("loss"), worst("gradients");
  for (std::size_t p = 0; p < pairs_.chosen.size(); ++p) {
    const std::string where = "pair " + std::to_string(p);
    worst_score.add(result.scores_S[pairs_.chosen[p]], fixture_["scores"][p][0].get<double>(),
                    where + " chosen");
    worst_score.add(result.scores_S[pairs_.rejected[p]], fixture_["scores"][p][1].get<double>(),
                    where + " rejected");
  }
  worst_score.check(fixture_["tolerance"]["score"].get<double>());
  worst_loss.add(result.loss, fixture_["loss"].get<double>(), "mean over pairs");
  worst_loss.check(fixture_["tolerance"]["loss"].get<double>());
  engine::DecoderWeights expected = load(root_ / "gradients", model->config());
  std::map<std::string, const engine::Tensor*> wanted;
  for (const auto& [name, tensor] : engine::named_weights(expected, model->config()))
    wanted[name] = tensor;
  const engine::NamedTensors gradients = model->gradients();
  ASSERT_EQ(gradients.size(), wanted.size());
  for (const auto& [name, tensor] : gradients) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      worst.add(tensor.data<float>()[i], wanted.at(name)->data<float>()[i],
                name + " element " + std::to_string(i));
    }
  }
  worst.check(fixture_["tolerance"]["gradient"].get<double>());
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
