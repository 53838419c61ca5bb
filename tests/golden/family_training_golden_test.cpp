// Gradients of every tensor of every family and head against transformers, and the save-load round
// trip.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/model_source.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/trainable_model.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/golden/trained_models.h"

namespace charm::golden {
namespace {

const char* const kFamilies[] = {"yarn-rope",
                                 "yarn-rope-v4",
                                 "dynamic-rope",
                                 "gelu-new",
                                 "quick-gelu",
                                 "relu",
                                 "relu2",
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
    return load_float32(folder, engine::load_model_config(folder));
  }
};

INSTANTIATE_TEST_SUITE_P(Models, FamilyTraining, testing::ValuesIn(kFamilies),
                         [](const auto& test) { return test_name(test.param); });

TEST_P(FamilyTraining, GradientsEqualTransformers) {
  const Json fixture = read_json(folder_ / "golden.json");
  const auto model = engine::make_trainable_model(config_, load(folder_), {});
  model->accumulate_gradients(pack_rows(fixture["rows"], config_.pad_token_id, {}), sum_of);
  compare_norms_and_sums(model->gradients(), fixture);
}

TEST_P(FamilyTraining, SavingKeepsEveryTensorAndTheConfig) {
  const std::filesystem::path output =
      std::filesystem::temp_directory_path() /
      ("charm_family_" + std::to_string(::getpid()) + "_" + GetParam());
  engine::DecoderWeights weights = load(folder_);
  engine::write_model_files(output, engine::resolve_model_source(folder_, {}), weights, config_,
                            {.dtype = engine::DType::kFloat32});
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
