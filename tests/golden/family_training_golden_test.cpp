// Gradients of every tensor of every family and head against transformers, and the save-load round
// trip.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/trainable_model.h"
#include "tests/golden/golden_fixture.h"

namespace charm::golden {
namespace {

constexpr double kRelativeTolerance = 1e-5;

const char* const kFamilies[] = {"yarn-rope",
                                 "yarn-rope-v4",
                                 "dynamic-rope",
                                 "longrope",
                                 "mistral",
                                 "qwen2",
                                 "qwen2-layer-types",
                                 "qwen3",
                                 "qwen3-head-dim",
                                 "gemma2",
                                 "gemma2-v4",
                                 "gemma3",
                                 "gemma3-v4",
                                 "gemma",
                                 "gemma-v4",
                                 "olmo2",
                                 "olmo2-v4",
                                 "olmo3",
                                 "olmo3-v4",
                                 "mixtral",
                                 "mixtral-v4",
                                 "qwen3-moe",
                                 "qwen3-moe-v4",
                                 "phi3",
                                 "phi3-v4",
                                 "phi4-mini",
                                 "gemma3-wrapper",
                                 "gemma3-wrapper-v4",
                                 "qwen2.5-vl",
                                 "qwen2.5-vl-v4",
                                 "qwen2-vl",
                                 "qwen3-vl",
                                 "inf-orm",
                                 "grm",
                                 "grm-linear",
                                 "regression-head-mistral",
                                 "regression-head-llama",
                                 "qwen2-reward-model"};

class FamilyTraining : public testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path folder_ = data_dir() / "models" / GetParam();
  const engine::DecoderConfig config_ = engine::load_model_config(folder_);
  engine::DecoderWeights load(const std::filesystem::path& folder) const {
    return engine::load_weights(folder, engine::load_model_config(folder),
                                {.dtype = engine::DType::kFloat32});
  }
};

INSTANTIATE_TEST_SUITE_P(Models, FamilyTraining, testing::ValuesIn(kFamilies),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
                           return name;
                         });

// Each tensor's gradient is compared by its norm and its sum, relative to the norm: a misplaced
// element changes one of them.
TEST_P(FamilyTraining, GradientsEqualTransformers) {
  const Json fixture = read_json(folder_ / "golden.json");
  std::vector<std::pair<std::size_t, engine::PooledRow>> rows;
  for (const Json& row : fixture["rows"]) {
    rows.emplace_back(
        rows.size(),
        engine::make_pooled_row(row["ids"].get<std::vector<std::int32_t>>(),
                                row["prompt_length"].get<std::int64_t>(), config_.pad_token_id));
  }
  const auto model = engine::make_trainable_model(config_, load(folder_), {});
  model->accumulate_gradients(
      engine::pack(engine::group_by_prompt(std::move(rows))), [](std::span<const float> scores_S) {
        return engine::ScoreGradient{0.0, std::vector<float>(scores_S.size(), 1.0f)};  // of the sum
      });
  const engine::NamedTensors gradients = model->gradients();
  ASSERT_EQ(gradients.size(), fixture["gradients"].size());
  Worst worst("gradients, relative");
  for (const auto& [name, gradient] : gradients) {
    const Json& expected = fixture["gradients"].at(name);
    const double norm = expected[0].get<double>();
    double squares = 0.0, sum = 0.0;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      const double value = gradient.data<float>()[i];
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

TEST_P(FamilyTraining, SavingKeepsEveryTensorAndTheConfig) {
  const std::filesystem::path output =
      std::filesystem::temp_directory_path() /
      ("charm_family_" + std::to_string(::getpid()) + "_" + GetParam());
  engine::DecoderWeights weights = load(folder_);
  engine::save_model(output, folder_, weights, config_, engine::DType::kFloat32);
  Json before = read_json(folder_ / "config.json"), after = read_json(output / "config.json");
  for (const char* label :
       {"num_labels", "id2label", "label2id"}) {  // written explicitly for every linear head
    before.erase(label);
    after.erase(label);
  }
  if (config_.wrapper.empty()) {
    EXPECT_EQ(before, after);
  } else {  // saved as the text model it is
    EXPECT_EQ(after["model_type"], config_.model_type);
    EXPECT_EQ(after["architectures"], Json::array({config_.architecture}));
    EXPECT_FALSE(after.contains("text_config") || after.contains("vision_config"));
    engine::DecoderConfig same = engine::load_model_config(output);
    same.wrapper = config_.wrapper;
    EXPECT_EQ(same, config_);
  }
  engine::DecoderWeights again = load(output);
  const auto expected = engine::named_weights(weights, config_),
             found = engine::named_weights(again, config_);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].first, expected[i].first);
    const engine::Tensor &x = *found[i].second, &y = *expected[i].second;
    ASSERT_EQ(x.shape(), y.shape()) << found[i].first;
    EXPECT_EQ(std::memcmp(x.bytes(), y.bytes(), x.nbytes()), 0) << found[i].first;
  }
  std::filesystem::remove_all(output);
}

}  // namespace
}  // namespace charm::golden
