#include "charm/train/checkpointed_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "charm/train/loss.h"
#include "tests/unit/train/tiny_training.h"

namespace charm::train {
namespace {

using testing_support::tiny_config;
using testing_support::tiny_model;
using testing_support::tiny_pairs;

PairBatch one_batch(std::size_t num_pairs) {
  const auto pairs = tiny_pairs(num_pairs);
  std::vector<std::size_t> order(num_pairs);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return pack_pairs(pairs, order, 1 << 20).front();
}

const ScoreLoss kLoss = [](const at::Tensor& scores) {
  PairRows pairs;
  for (std::int64_t row = 0; row < scores.size(0); row += 2) {
    pairs.chosen.push_back(row);
    pairs.rejected.push_back(row + 1);
  }
  return pair_loss_sum(scores, pairs, PairLoss::kBradleyTerry, 0.01) / 6.0;
};

/// Gradients of the same loss by plain autograd through the whole decoder.
std::map<std::string, at::Tensor> plain_gradients(const engine::DecoderConfig& config,
                                                  const engine::PackedBatch& batch) {
  engine::DecoderWeights weights = engine::random_weights(config, 1);
  for (auto& [name, tensor] : engine::named_weights(weights, config))
    tensor->set_requires_grad(true);
  const engine::Decoder decoder(config, weights, engine::Mode::kAutograd);
  kLoss(decoder.forward(decoder.layout(batch))).backward();
  std::map<std::string, at::Tensor> gradients;
  for (auto& [name, tensor] : engine::named_weights(weights, config))
    gradients[name] = tensor->grad();
  return gradients;
}

std::map<std::string, at::Tensor> plain_gradients(std::int64_t num_layers,
                                                  const engine::PackedBatch& batch) {
  return plain_gradients(tiny_config(num_layers), batch);
}

double relative_difference(const at::Tensor& found, const at::Tensor& expected) {
  const double size = expected.abs().max().item<double>();
  return (found - expected).abs().max().item<double>() / (size > 0.0 ? size : 1.0);
}

TEST(AccumulateGradients, EqualPlainAutogradWhateverIsStored) {
  const PairBatch batch = one_batch(6);
  for (const std::int64_t num_layers : {1, 2, 4}) {
    const auto expected = plain_gradients(num_layers, batch.packed);
    for (const std::int64_t stored : {0, 1, 2, 4}) {
      TrainableModel model = tiny_model({}, num_layers);
      accumulate_gradients(model, batch.packed, kLoss, stored);
      for (const Parameter& parameter : model.parameters()) {
        EXPECT_LT(relative_difference(parameter.gradient, expected.at(parameter.name)), 2e-6)
            << parameter.name << ", " << num_layers << " layers, " << stored << " stored";
      }
    }
  }
}

TEST(AccumulateGradients, EqualPlainAutogradForGemmaWithAValueHead) {
  const engine::DecoderConfig config = engine::parse_model_config(R"({
    "architectures": ["GRewardModel"], "model_type": "gemma2", "vocab_size": 48, "hidden_size": 32,
    "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "query_pre_attn_scalar": 4, "attn_logit_softcapping": 3.0, "sliding_window": 5,
    "max_position_embeddings": 128, "pad_token_id": 0, "initializer_range": 0.2,
    "vhead_layer_type": "mlp", "vhead_num_neurons": 12})",
                                                                  "gemma/config.json");
  const PairBatch batch = one_batch(6);
  const auto expected = plain_gradients(config, batch.packed);
  for (const std::int64_t stored : {1, 3}) {
    TrainableModel model(config, engine::random_weights(config, 1), {});
    accumulate_gradients(model, batch.packed, kLoss, stored);
    for (const Parameter& parameter : model.parameters()) {
      EXPECT_GT(parameter.gradient.abs().max().item<double>(), 0.0) << parameter.name;
      EXPECT_LT(relative_difference(parameter.gradient, expected.at(parameter.name)), 1e-5)
          << parameter.name << ", " << stored << " stored";
    }
  }
}

TEST(AccumulateGradients, RecomputationIsBitIdentical) {
  const PairBatch batch = one_batch(6);
  TrainableModel recomputed = tiny_model({}, 4), stored = tiny_model({}, 4);
  accumulate_gradients(recomputed, batch.packed, kLoss, 1);
  accumulate_gradients(stored, batch.packed, kLoss, 4);
  for (std::size_t i = 0; i < stored.parameters().size(); ++i) {
    EXPECT_TRUE(at::equal(recomputed.parameters()[i].gradient, stored.parameters()[i].gradient))
        << stored.parameters()[i].name;
  }
}

TEST(AccumulateGradients, AddsOverBatches) {
  const PairBatch batch = one_batch(3);
  TrainableModel once = tiny_model(), twice = tiny_model();
  accumulate_gradients(once, batch.packed, kLoss);
  accumulate_gradients(twice, batch.packed, kLoss);
  accumulate_gradients(twice, batch.packed, kLoss);
  for (std::size_t i = 0; i < once.parameters().size(); ++i) {
    EXPECT_LT(
        relative_difference(twice.parameters()[i].gradient, 2.0 * once.parameters()[i].gradient),
        1e-6);
  }
  twice.zero_gradients();
  EXPECT_EQ(twice.parameters()[3].gradient.abs().max().item<float>(), 0.0f);
}

TEST(AccumulateGradients, FrozenWeightsGetNone) {
  const PairBatch batch = one_batch(4);
  const auto expected = plain_gradients(3, batch.packed);
  TrainableModel model = tiny_model({.freeze_layers = 1}, 3);
  accumulate_gradients(model, batch.packed, kLoss, 2);
  for (const Parameter& parameter : model.parameters()) {
    const bool frozen =
        parameter.name.starts_with("model.embed") || parameter.name.starts_with("model.layers.0.");
    EXPECT_EQ(parameter.trainable(), !frozen) << parameter.name;
    if (!frozen) {
      EXPECT_LT(relative_difference(parameter.gradient, expected.at(parameter.name)), 2e-6)
          << parameter.name;
    }
  }
  TrainableModel frozen = tiny_model({.train_embeddings = false}, 3);
  accumulate_gradients(frozen, batch.packed, kLoss);
  EXPECT_FALSE(frozen.parameters().front().trainable());
  EXPECT_LT(relative_difference(frozen.parameters()[1].gradient,
                                expected.at(frozen.parameters()[1].name)),
            2e-6);
}

TEST(AccumulateGradients, BFloat16IsCloseAndItsMastersStayFloat32) {
  const PairBatch batch = one_batch(6);
  const auto expected = plain_gradients(2, batch.packed);
  TrainableModel model = tiny_model({.compute_dtype = at::kBFloat16});
  accumulate_gradients(model, batch.packed, kLoss);
  for (const Parameter& parameter : model.parameters()) {
    EXPECT_EQ(parameter.master.scalar_type(), at::kFloat);
    EXPECT_EQ(parameter.gradient.scalar_type(), at::kFloat);
    const at::Tensor& wanted = expected.at(parameter.name);
    if (wanted.abs().max().item<double>() < 1e-4)
      continue;  // k biases: the gradient is 0 but for rounding
    EXPECT_LT((parameter.gradient - wanted).norm().item<double>() / wanted.norm().item<double>(),
              0.15)
        << parameter.name;
  }
  model.parameters()[1].master.add_(1.0);
  model.refresh_compute_weights();
  EXPECT_TRUE(
      at::equal(model.parameters()[1].compute, model.parameters()[1].master.to(at::kBFloat16)));
}

TEST(NumBlocksToStore, IsAtLeastOneAndAtMostAll) {
  const engine::DecoderConfig config = tiny_config(4);
  EXPECT_EQ(num_blocks_to_store(config, at::kFloat, 4096, 0.0), 1);
  EXPECT_EQ(num_blocks_to_store(config, at::kFloat, 4096, 1e12), 4);
}

// All pairs of five responses to two prompts: each response is computed once.
TEST(AccumulateGradients, SharedResponsesEqualPairsByThemselves) {
  const auto drawn = tiny_pairs(5);
  std::vector<EncodedPair> pairs;
  for (const char* prompt : {"p", "q"}) {
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      for (std::size_t j = i + 1; j < drawn.size(); ++j) {
        std::vector<std::int32_t> a = {1, 4, *prompt == 'p' ? 9 : 10}, b = a;
        a.insert(a.end(), drawn[i].chosen.begin(), drawn[i].chosen.end());
        b.insert(b.end(), drawn[j].chosen.begin(), drawn[j].chosen.end());
        pairs.push_back({prompt, a, b, 0.25f * static_cast<float>(j)});
      }
    }
  }
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto gradients = [&](std::int64_t budget_tokens, std::size_t num_batches) {
    TrainableModel model = tiny_model({}, 2);
    model.zero_gradients();
    const std::vector<PairBatch> batches = pack_pairs(pairs, order, budget_tokens);
    EXPECT_EQ(batches.size(), num_batches);
    for (const PairBatch& batch : batches) {
      accumulate_gradients(model, batch.packed, [&](const at::Tensor& scores) {
        return pair_loss_sum(scores, batch.pairs, PairLoss::kSoftLabels, 0.01) / 20.0;
      });
    }
    std::map<std::string, at::Tensor> all;
    for (const Parameter& parameter : model.parameters())
      all[parameter.name] = parameter.gradient.clone();
    return all;
  };
  const auto together = gradients(1 << 20, 1), apart = gradients(1, 20);
  for (const auto& [name, gradient] : together) {
    EXPECT_LT(relative_difference(gradient, apart.at(name)), 1e-4) << name;
  }
}

}  // namespace
}  // namespace charm::train
