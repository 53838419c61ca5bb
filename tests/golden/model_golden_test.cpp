// Tiny reward models against transformers: embeddings, blocks, scores. Rows are packed in prompt
// groups, so that prefix sharing is covered.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"

namespace charm::golden {
namespace {

/// Packed index of token `position` of a response's full sequence.
std::int64_t packed_index(const engine::Segment& segment, std::int64_t position) {
  return position < segment.prompt_length
             ? segment.prompt_begin + position
             : segment.response_begin + position - segment.prompt_length;
}

/// Compares x_TD with the [token][width] lists of the rows that carry `rung`.
void compare_layer(const std::string& rung, const engine::Tensor& x_TD,
                   const engine::PackedBatch& batch, const Json& fixture) {
  const float* data = x_TD.data<float>();
  const std::int64_t width = x_TD.cols();
  Worst worst(rung);
  for (std::size_t s = 0; s < batch.responses.size(); ++s) {
    const Json& row = fixture["rows"][batch.rows[s]];
    if (!row.contains(rung)) continue;
    const engine::Segment& segment = batch.responses[s];
    for (std::int64_t t = 0; t < segment.prompt_length + segment.response_length; ++t) {
      const float* found = data + packed_index(segment, t) * width;
      for (std::int64_t d = 0; d < width; ++d) {
        worst.add(found[d], row[rung][t][d].get<double>(),
                  "row " + std::to_string(batch.rows[s]) + " [" + std::to_string(t) + ", " +
                      std::to_string(d) + "]");
      }
    }
  }
  worst.check(fixture["tolerance"]["layer"].get<double>());
}

std::string test_name(const std::string& model, const std::string& way) {
  std::string name = model + "_" + way;
  for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
  return name;
}

class DecoderGolden : public testing::TestWithParam<const char*> {};

TEST_P(DecoderGolden, EveryRungEqualsTransformers) {
  const std::filesystem::path folder = data_dir() / "models" / GetParam();
  const Json fixture = read_json(folder / "golden.json");
  const engine::DecoderConfig config = engine::load_model_config(folder);
  const engine::PackedBatch batch =
      pack_rows(fixture["rows"], config.pad_token_id, config.gate_tokens);
  const engine::Decoder decoder(
      config, engine::load_weights(folder, config, {.dtype = engine::DType::kFloat32}),
      engine::DType::kFloat32);
  engine::DecoderSession session(config);

  const engine::BatchLayout layout = decoder.layout(batch, session);
  engine::Tensor x_TD = decoder.embed(layout);
  const bool has_layers = fixture["rows"][1].contains("embeddings");
  if (has_layers) compare_layer("embeddings", x_TD, batch, fixture);
  for (std::int64_t layer = 0; layer < decoder.num_layers(); ++layer) {
    x_TD = decoder.block(layer, x_TD, layout, engine::BlockRows::kAll, session);
    if (has_layers && layer == 0) compare_layer("first_block", x_TD, batch, fixture);
  }
  if (has_layers) compare_layer("last_block", x_TD, batch, fixture);

  // forward() computes only the pooled rows in the last block: another path to the same numbers.
  const engine::Tensor scores_S = decoder.forward(layout, session);
  const std::vector<float> scores(scores_S.data<float>(),
                                  scores_S.data<float>() + batch.responses.size());
  const double tolerance = fixture["tolerance"]["score"].get<double>();
  compare_scores("score", scores, batch, fixture, "score", tolerance);
  compare_scores("score_float64", scores, batch, fixture, "score_float64", tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderGolden, testing::ValuesIn(kModels),
                         [](const auto& test) { return test_name(test.param, "cpu"); });
INSTANTIATE_TEST_SUITE_P(CpuModels, DecoderGolden, testing::ValuesIn(kCpuModels),
                         [](const auto& test) { return test_name(test.param, "cpu"); });

class RewardModelGolden
    : public testing::TestWithParam<std::tuple<const char*, engine::DTypeChoice>> {};

TEST_P(RewardModelGolden, ScoresEqualTransformers) {
  const auto [name, dtype] = GetParam();
  const std::filesystem::path folder = data_dir() / "models" / name;
  const Json fixture = read_json(folder / "golden.json");
  const auto reward_model = engine::load_reward_model(
      folder, {.dtype = dtype, .device = engine::DeviceChoice::kCpu, .threads = 1});
  const engine::PackedBatch batch = pack_rows(fixture["rows"], reward_model->config().pad_token_id,
                                              reward_model->config().gate_tokens);
  const std::vector<float> scores = reward_model->score(batch);
  const bool bfloat16 = dtype == engine::DTypeChoice::kBFloat16;
  compare_scores(bfloat16 ? "score in bfloat16" : "score", scores, batch, fixture, "score_float64",
                 fixture["tolerance"][bfloat16 ? "score_bfloat16" : "score"].get<double>());
}

std::string dtype_test_name(
    const testing::TestParamInfo<std::tuple<const char*, engine::DTypeChoice>>& test) {
  const bool float32 = std::get<1>(test.param) == engine::DTypeChoice::kFloat32;
  return test_name(std::get<0>(test.param), float32 ? "float32" : "bfloat16");
}
const auto kDTypes = testing::Values(engine::DTypeChoice::kFloat32, engine::DTypeChoice::kBFloat16);

INSTANTIATE_TEST_SUITE_P(Models, RewardModelGolden,
                         testing::Combine(testing::ValuesIn(kModels), kDTypes), dtype_test_name);
INSTANTIATE_TEST_SUITE_P(CpuModels, RewardModelGolden,
                         testing::Combine(testing::ValuesIn(kCpuModels), kDTypes), dtype_test_name);

class RewardModelInvariance : public testing::TestWithParam<const char*> {};

TEST_P(RewardModelInvariance, AloneOrPackedGivesTheSameBits) {
  const std::filesystem::path folder = data_dir() / "models" / GetParam();
  const Json rows = read_json(folder / "golden.json")["rows"];
  const auto reward_model = engine::load_reward_model(
      folder,
      {.dtype = engine::DTypeChoice::kFloat32, .device = engine::DeviceChoice::kCpu, .threads = 1});
  const engine::PackedBatch batch =
      pack_rows(rows, reward_model->config().pad_token_id, reward_model->config().gate_tokens);
  const std::vector<float> together = reward_model->score(batch);
  for (std::size_t s = 0; s < together.size(); ++s) {
    const engine::PackedBatch one =
        pack_rows(Json::array({rows[batch.rows[s]]}), reward_model->config().pad_token_id,
                  reward_model->config().gate_tokens);
    const std::vector<float> alone = reward_model->score(one);
    EXPECT_EQ(alone.at(0), together[s]) << "row " << batch.rows[s];
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RewardModelInvariance, testing::ValuesIn(kModels),
                         [](const auto& test) { return test_name(test.param, "float32"); });
INSTANTIATE_TEST_SUITE_P(CpuModels, RewardModelInvariance, testing::ValuesIn(kCpuModels),
                         [](const auto& test) { return test_name(test.param, "float32"); });

}  // namespace
}  // namespace charm::golden
