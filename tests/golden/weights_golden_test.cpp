// Tiny reward models as training tools and the Hub publish them: adapters, files of torch.save,
// heads beside the weights. Each score against peft, torch, or the published code's formula.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/model_source.h"
#include "charm/engine/reward_model.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/support/tensors.h"

namespace charm::golden {
namespace {

const char* const kStored[] = {
    "lora", "lora-bias-bin", "lora-head", "lora-bf16", "bin", "bin-strided", "bin-sharded",
    "bin-wrapped",
    // one setting of an adapter each
    "lora-left-out", "lora-layers", "lora-exclude", "lora-regex", "lora-patterns", "lora-bias-all",
    "lora-factor-biases", "lora-token-rows", "lora-vocabulary", "lora-experts",
    "lora-experts-qwen3", "lora-experts-v4", "lora-wrapper",
    // experts in one tensor
    "mixtral-fused", "qwen3-moe-fused",
    // heads
    "trl-value-head", "llamafactory-safetensors", "llamafactory-bin", "openrlhf",
    "openrlhf-value-head", "llama-3.1-Nemotron-70B-Reward-HF", "qrm-llama3.1-8b", "qrm-llama3-8b",
    "qrm-gemma-2-27b", "urm-llama-3.1-8b", "ldl-reward-gemma-2-27b", "ldl-without-softmax",
    "internlm2-7b-reward"};

class StoredModelGolden
    : public testing::TestWithParam<std::tuple<const char*, engine::DTypeChoice>> {};

TEST_P(StoredModelGolden, ScoresEqualTheReference) {
  const auto [name, dtype] = GetParam();
  const std::filesystem::path folder = data_dir() / "weights" / name;
  const Json fixture = read_json(folder / "golden.json");
  const auto reward_model = engine::load_reward_model(
      folder, {.dtype = dtype, .device = engine::DeviceChoice::kCpu, .threads = 1});
  const engine::PackedBatch batch = pack_rows(fixture["rows"], reward_model->config().pad_token_id,
                                              reward_model->config().gate_tokens);
  const bool bfloat16 = dtype == engine::DTypeChoice::kBFloat16;
  compare_scores(bfloat16 ? "score in bfloat16" : "score", reward_model->score(batch), batch,
                 fixture, "score_float64",
                 fixture["tolerance"][bfloat16 ? "score_bfloat16" : "score"].get<double>());
}

/// bfloat16 scores of tiny models say little: their error is that of the activations. The weights
/// themselves are those that float32 scores are held to, rounded once.
class StoredModelRounding : public testing::TestWithParam<const char*> {};

TEST_P(StoredModelRounding, BFloat16WeightsAreTheFloat32OnesRoundedOnce) {
  const engine::ModelSource source =
      engine::resolve_model_source(data_dir() / "weights" / GetParam(), {});
  const engine::DecoderConfig config = engine::load_model_config(source);
  const auto load = [&](engine::DType dtype) {
    return engine::load_weights(source, config, {.dtype = dtype});
  };
  engine::DecoderWeights float32 = load(engine::DType::kFloat32);
  engine::DecoderWeights bfloat16 = load(engine::DType::kBFloat16);
  const auto expected = engine::named_weights(float32, config);
  const auto found = engine::named_weights(bfloat16, config);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(test::equal(*found[i].second, expected[i].second->to(found[i].second->dtype())))
        << found[i].first;
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, StoredModelRounding, testing::ValuesIn(kStored),
                         [](const auto& test) { return test_name(test.param); });

class StoredModelInvariance : public testing::TestWithParam<const char*> {};

TEST_P(StoredModelInvariance, AloneOrPackedGivesTheSameBits) {
  const std::filesystem::path folder = data_dir() / "weights" / GetParam();
  const Json rows = read_json(folder / "golden.json")["rows"];
  const auto reward_model = engine::load_reward_model(
      folder,
      {.dtype = engine::DTypeChoice::kFloat32, .device = engine::DeviceChoice::kCpu, .threads = 1});
  const auto pack = [&](const Json& some) {
    return pack_rows(some, reward_model->config().pad_token_id, reward_model->config().gate_tokens);
  };
  const engine::PackedBatch all = pack(rows);
  const std::vector<float> together = reward_model->score(all);
  for (std::size_t s = 0; s < together.size(); ++s) {
    const std::size_t row = all.rows[s];
    EXPECT_EQ(reward_model->score(pack(Json::array({rows[row]}))).at(0), together[s]) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, StoredModelInvariance, testing::ValuesIn(kStored),
                         [](const auto& test) { return test_name(test.param); });

INSTANTIATE_TEST_SUITE_P(Weights, StoredModelGolden,
                         testing::Combine(testing::ValuesIn(kStored),
                                          testing::Values(engine::DTypeChoice::kFloat32,
                                                          engine::DTypeChoice::kBFloat16)),
                         [](const auto& test) {
                           std::string test_name = std::get<0>(test.param);
                           for (char& c : test_name) c = c == '-' || c == '.' ? '_' : c;
                           const bool float32 =
                               std::get<1>(test.param) == engine::DTypeChoice::kFloat32;
                           return test_name + (float32 ? "_float32" : "_bfloat16");
                         });

}  // namespace
}  // namespace charm::golden
