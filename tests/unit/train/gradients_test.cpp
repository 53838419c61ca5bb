#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/engine/trainable_model.h"
#include "charm/kernels/thread_pool.h"
#include "charm/train/loss.h"
#include "tests/support/expect_error.h"
#include "tests/unit/train/tiny_training.h"

namespace charm::train {
namespace {

using engine::DecoderConfig;
using engine::DecoderWeights;
using engine::Tensor;
using engine::TrainableOptions;
using testing_support::tiny_config;
using testing_support::tiny_pairs;

constexpr double kEverything = 1e12;  ///< bytes of activations

PairBatch one_batch(std::size_t num_pairs) {
  const auto pairs = tiny_pairs(num_pairs);
  std::vector<std::size_t> order(num_pairs);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return pack_pairs(pairs, order, 1 << 20).front();
}

engine::ScoreGradient loss_of(std::span<const float> scores) {
  PairRows pairs;
  for (std::int64_t row = 0; row < std::ssize(scores); row += 2) {
    pairs.chosen.push_back(row);
    pairs.rejected.push_back(row + 1);
  }
  return pair_loss(scores, pairs, PairLoss::kBradleyTerry, 0.01, 1.0 / 6.0);
}

using Gradients = std::map<std::string, std::vector<float>>;

Gradients gradients_of(engine::TrainableModel& model) {
  Gradients all;
  for (const auto& [name, tensor] : model.gradients())
    all[name] = {tensor.data<float>(), tensor.data<float>() + tensor.numel()};
  return all;
}

Gradients gradients_of(const DecoderConfig& config, const PairBatch& batch,
                       const TrainableOptions& options) {
  const auto model =
      engine::make_trainable_model(config, engine::random_weights(config, 1), options);
  model->accumulate_gradients(batch.packed, loss_of);
  return gradients_of(*model);
}

double norm_of(const std::vector<float>& values) {
  double squares = 0.0;
  for (const float v : values) squares += double{v} * v;
  return std::sqrt(squares);
}

double relative_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  std::vector<float> difference(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) difference[i] = found[i] - expected[i];
  const double size = norm_of(expected);
  return norm_of(difference) / (size > 0.0 ? size : 1.0);
}

DecoderConfig config_of(const std::string& rest) {
  DecoderConfig config = engine::parse_model_config(
      R"({"vocab_size": 48, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
          "num_hidden_layers": 3, "max_position_embeddings": 128, "pad_token_id": 0,
          "initializer_range": 0.2, "id2label": {"0": "LABEL_0"}, )" +
          rest + "}",
      "test/config.json");
  return config;
}

struct Model {
  const char* name;
  const char* config;
};
void PrintTo(const Model& model, std::ostream* out) { *out << model.name; }

// Every expert computes every row: where a row changes its experts, the loss is not continuous.
constexpr Model kModels[] = {
    {"llama", R"("architectures": ["LlamaForSequenceClassification"], "model_type": "llama",
        "intermediate_size": 39, "attention_bias": true, "mlp_bias": true)"},
    {"gemma2",
     R"("architectures": ["GRewardModel"], "model_type": "gemma2", "intermediate_size": 40,
        "head_dim": 8, "query_pre_attn_scalar": 4, "attn_logit_softcapping": 3.0,
        "sliding_window": 5, "vhead_layer_type": "mlp", "vhead_num_neurons": 12)"},
    {"qwen3", R"("architectures": ["Qwen3ForSequenceClassification"], "model_type": "qwen3",
        "intermediate_size": 40, "head_dim": 16)"},
    {"olmo2", R"("architectures": ["Olmo2ForSequenceClassification"], "model_type": "olmo2",
        "intermediate_size": 40)"},
    {"phi3", R"("architectures": ["Phi3ForSequenceClassification"], "model_type": "phi3",
        "intermediate_size": 40)"},
    {"mixtral", R"("architectures": ["MixtralForSequenceClassification"], "model_type": "mixtral",
        "intermediate_size": 24, "num_local_experts": 3, "num_experts_per_tok": 3)"},
    {"qwen3_moe", R"("architectures": ["Qwen3MoeForSequenceClassification"],
        "model_type": "qwen3_moe", "intermediate_size": 40, "moe_intermediate_size": 24,
        "num_experts": 3, "num_experts_per_tok": 3, "norm_topk_prob": false, "head_dim": 8)"},
    {"two_layers", R"("architectures": ["INFORMForSequenceClassification"], "model_type": "llama",
        "intermediate_size": 40)"},
};

class ModelGradients : public testing::TestWithParam<Model> {
 protected:
  void TearDown() override { kernels::set_num_threads(2); }
  const DecoderConfig config_ = config_of(GetParam().config);
};
INSTANTIATE_TEST_SUITE_P(Families, ModelGradients, testing::ValuesIn(kModels),
                         [](const auto& test) { return std::string(test.param.name); });

DecoderWeights copy_of(const DecoderWeights& weights, const DecoderConfig& config) {
  DecoderWeights copy = weights;
  for (auto& [name, tensor] : engine::named_weights(copy, config)) *tensor = tensor->clone();
  return copy;
}

// Central differences of the loss along the gradient and along a random direction, for every
// tensor. A gradient that is off in one element changes both.
TEST_P(ModelGradients, EqualFiniteDifferences) {
  const PairBatch batch = one_batch(6);
  const DecoderWeights weights = engine::random_weights(config_, 1);
  const auto model = engine::make_trainable_model(config_, copy_of(weights, config_), {});
  model->accumulate_gradients(batch.packed, loss_of);
  const Gradients gradients = gradients_of(*model);
  double total = 0.0;
  for (const auto& [name, gradient] : gradients) total += norm_of(gradient) * norm_of(gradient);
  const auto loss_at = [&](const std::string& name, const std::vector<float>& direction, double h) {
    DecoderWeights moved = copy_of(weights, config_);
    for (auto& [at, tensor] : engine::named_weights(moved, config_)) {
      if (at != name) continue;
      auto* values = tensor->mutable_data<float>();
      for (std::size_t i = 0; i < direction.size(); ++i)
        values[i] += static_cast<float>(h * direction[i]);
    }
    const auto there = engine::make_trainable_model(config_, std::move(moved), {});
    return loss_of(there->scores(batch.packed)).loss;
  };
  for (const auto& [name, gradient] : gradients) {
    const double size = norm_of(gradient);
    std::vector<float> along(gradient.size()), random(gradient.size());
    RandomStream stream(5, name);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      along[i] = static_cast<float>(gradient[i] / std::max(size, 1e-12));
      random[i] =
          static_cast<float>(stream.normal() / std::sqrt(static_cast<double>(gradient.size())));
    }
    for (const auto& direction : {along, random}) {
      double expected = 0.0;
      for (std::size_t i = 0; i < gradient.size(); ++i)
        expected += double{gradient[i]} * direction[i];
      constexpr double kStep = 2e-3;
      const double difference =
          (loss_at(name, direction, kStep) - loss_at(name, direction, -kStep)) / (2 * kStep);
      EXPECT_NEAR(difference, expected, 0.01 * std::abs(expected) + 1e-3 * std::sqrt(total))
          << name;
    }
  }
}

TEST_P(ModelGradients, AreTheSameBitsWhateverIsStoredAndHoweverManyThreads) {
  const PairBatch batch = one_batch(6);
  for (const bool bfloat16 : {false, true}) {
    const Gradients expected =
        gradients_of(config_, batch, {.bfloat16 = bfloat16, .activation_bytes = kEverything});
    for (const std::int64_t threads : {1, 2, 3}) {
      kernels::set_num_threads(threads);
      EXPECT_EQ(gradients_of(config_, batch, {.bfloat16 = bfloat16, .activation_bytes = 0.0}),
                expected)
          << threads << " threads";
    }
  }
}

// Pairs of different prompts: each alone, some at a time, and all in one batch.
TEST_P(ModelGradients, AreTheSameBitsHoweverPairsArePacked) {
  std::vector<EncodedPair> pairs = tiny_pairs(6);
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].prompt_id = std::to_string(i);
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const bool bfloat16 : {false, true}) {
    Gradients expected;
    for (const std::int64_t budget : {1, 60, 1 << 20}) {
      const auto model = engine::make_trainable_model(config_, engine::random_weights(config_, 1),
                                                      {.bfloat16 = bfloat16});
      for (const PairBatch& batch : pack_pairs(pairs, order, budget)) {
        model->accumulate_gradients(batch.packed, [&](std::span<const float> scores) {
          return pair_loss(scores, batch.pairs, PairLoss::kBradleyTerry, 0.0, 1.0 / 6.0);
        });
      }
      const Gradients found = gradients_of(*model);
      if (expected.empty()) expected = found;
      for (const auto& [name, gradient] : found) {
        EXPECT_EQ(
            std::memcmp(gradient.data(), expected.at(name).data(), gradient.size() * sizeof(float)),
            0)
            << name << ", budget " << budget << (bfloat16 ? ", bfloat16" : "");
      }
    }
  }
}

TEST_P(ModelGradients, InBFloat16AreClose) {
  const PairBatch batch = one_batch(6);
  const Gradients exact = gradients_of(config_, batch, {});
  const Gradients rounded = gradients_of(config_, batch, {.bfloat16 = true});
  double squares = 0.0, difference = 0.0;
  for (const auto& [name, gradient] : exact) {
    const double relative = relative_difference(rounded.at(name), gradient);
    squares += std::pow(norm_of(gradient), 2);
    difference += std::pow(relative * norm_of(gradient), 2);
  }
  EXPECT_LT(std::sqrt(difference / squares), 0.25);  // of random weights: 0.01 to 0.18
}

TEST(AccumulateGradients, AddsOverBatches) {
  const PairBatch batch = one_batch(3);
  const DecoderConfig config = tiny_config(2);
  const auto model = engine::make_trainable_model(config, engine::random_weights(config, 1), {});
  model->accumulate_gradients(batch.packed, loss_of);
  const Gradients once = gradients_of(*model);
  model->accumulate_gradients(batch.packed, loss_of);
  for (const auto& [name, gradient] : gradients_of(*model)) {
    std::vector<float> twice = once.at(name);
    for (float& v : twice) v *= 2.0f;
    EXPECT_LT(relative_difference(gradient, twice), 1e-6) << name;
  }
  model->zero_gradients();
  for (const auto& [name, gradient] : gradients_of(*model))
    EXPECT_EQ(norm_of(gradient), 0.0) << name;
}

TEST(AccumulateGradients, FrozenWeightsGetNone) {
  const PairBatch batch = one_batch(4);
  const DecoderConfig config = tiny_config(3);
  const Gradients all = gradients_of(config, batch, {});
  const Gradients later = gradients_of(config, batch, {.freeze_layers = 1});
  for (const auto& [name, gradient] : all) {
    const bool frozen = name.starts_with("model.embed") || name.starts_with("model.layers.0.");
    EXPECT_EQ(later.contains(name), !frozen) << name;
    if (frozen) continue;
    EXPECT_EQ(later.at(name), gradient) << name;
  }
  const Gradients blocks = gradients_of(config, batch, {.train_embeddings = false});
  EXPECT_EQ(blocks.size() + 1, all.size());
  EXPECT_FALSE(blocks.contains("model.embed_tokens.weight"));
}

TEST(AccumulateGradients, ThePadTokenHasNone) {
  PairBatch batch = one_batch(4);
  batch.packed.ids[2] = 0;
  const Gradients all = gradients_of(tiny_config(2), batch, {});
  const std::vector<float>& embedding = all.at("model.embed_tokens.weight");
  EXPECT_EQ(norm_of({embedding.begin(), embedding.begin() + 32}), 0.0);
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
    const DecoderConfig config = tiny_config(2);
    const auto model = engine::make_trainable_model(config, engine::random_weights(config, 1), {});
    const std::vector<PairBatch> batches = pack_pairs(pairs, order, budget_tokens);
    EXPECT_EQ(batches.size(), num_batches);
    for (const PairBatch& batch : batches) {
      model->accumulate_gradients(batch.packed, [&](std::span<const float> scores) {
        return pair_loss(scores, batch.pairs, PairLoss::kSoftLabels, 0.01, 1.0 / 20.0);
      });
    }
    return gradients_of(*model);
  };
  const Gradients together = gradients(1 << 20, 1), apart = gradients(1, 20);
  for (const auto& [name, gradient] : together)
    EXPECT_LT(relative_difference(gradient, apart.at(name)), 1e-4) << name;
}

TEST(AccumulateGradients, AMemoryLimitTooSmallForABatchSaysWhatItTakes) {
  const DecoderConfig config = tiny_config(4);
  const PairBatch batch = one_batch(6);
  EXPECT_ERROR(kResource, "GiB even if every layer is recomputed",
               gradients_of(config, batch, {.activation_bytes = 1000.0}));
}

TEST(ClipGradients, ScalesOnlyAboveTheLimit) {
  const DecoderConfig config = tiny_config(2);
  const auto model = engine::make_trainable_model(config, engine::random_weights(config, 1), {});
  model->accumulate_gradients(one_batch(3).packed, loss_of);
  const Gradients before = gradients_of(*model);
  double squares = 0.0;
  for (const auto& [name, gradient] : before) squares += std::pow(norm_of(gradient), 2);
  const double norm = std::sqrt(squares);
  EXPECT_NEAR(model->clip_gradients(2 * norm), norm, 1e-6 * norm);
  EXPECT_EQ(gradients_of(*model), before);
  EXPECT_NEAR(model->clip_gradients(0.0), norm, 1e-6 * norm);
  EXPECT_EQ(gradients_of(*model), before);
  EXPECT_NEAR(model->clip_gradients(norm / 4), norm, 1e-6 * norm);
  EXPECT_NEAR(model->clip_gradients(0.0), norm / 4, 1e-5 * norm);
}

}  // namespace
}  // namespace charm::train
