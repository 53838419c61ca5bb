// Adapters in every command that loads a reward model: merged at load, equal to the merged folder.

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/engine/safetensors.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"
#include "tests/support/tensors.h"

namespace charm::e2e {
namespace {

using nlohmann::json;

constexpr const char* kWeight = "model.layers.0.mlp.up_proj.weight";

class Adapters : public SmallWorld {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    const engine::SafetensorsFile base(path("rm/model.safetensors"));
    const engine::Tensor weight = base.view(kWeight);
    const engine::Tensor a = test::filled({2, weight.cols()}, 0.05F),
                         b = test::filled({weight.rows(), 2}, 0.3F);
    const std::string module = "base_model.model.model.layers.0.mlp.up_proj.lora_";
    engine::write_safetensors(path("adapter/adapter_model.safetensors"),
                              {{module + "A.weight", a}, {module + "B.weight", b}});
    write_file(
        path("adapter/adapter_config.json"),
        R"({"peft_type": "LORA", "base_model_name_or_path": "../rm", "r": 2, "lora_alpha": 4})");
    // The merged folder.
    fs::copy(path("rm"), path("merged"), fs::copy_options::recursive);
    std::vector<std::pair<std::string, engine::Tensor>> tensors;
    for (const auto& [name, info] : base.tensors()) {
      engine::Tensor value = base.view(name).clone();
      if (name == kWeight) {  // each element of the product is 2 * 0.3 * 0.05, scaled by 4 / 2
        for (std::int64_t i = 0; i < value.numel(); ++i)
          value.mutable_data<float>()[i] += 2.0F * (0.3F * 0.05F + 0.3F * 0.05F);
      }
      tensors.emplace_back(name, value);
    }
    engine::write_safetensors(path("merged/model.safetensors"), tensors);
  }

  std::vector<float> scores(const std::string& output, const std::vector<std::string>& model) {
    const Outcome outcome = run_charm(join({{"score", "--responses", responses("helper"),
                                             "--output", path(output), "--dtype", "float32"},
                                            model}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<float> found;
    for (const ScoredResponse& row :
         storage::read_scored_responses(path(output + "/helper.parquet"), {}))
      found.push_back(row.score);
    return found;
  }

  json inspected(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_charm(join({{"inspect", "--json"}, arguments}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
  }
};

TEST_F(Adapters, ScoreAsTheMergedFolder) {
  const std::vector<float> merged = scores("a", {"--model", path("merged")});
  const std::vector<float> by_folder = scores("b", {"--model", path("adapter")});
  ASSERT_EQ(merged.size(), by_folder.size());
  for (std::size_t i = 0; i < merged.size(); ++i) EXPECT_NEAR(by_folder[i], merged[i], 1e-4);
  EXPECT_EQ(scores("c", {"--model", path("rm"), "--adapter", path("adapter")}), by_folder);
  EXPECT_EQ(scores("d", {"--model", path("adapter"), "--base-model", path("rm")}), by_folder);
  EXPECT_NE(scores("e", {"--model", path("rm")}), by_folder);
  // Another adapter is another model: nothing is mixed into its scores.
  expect_failure({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                  path("b"), "--dtype", "float32"},
                 3, {"another model"});
  const json manifest = json::parse(read_file(path(".charm/b/manifest.json")));
  EXPECT_EQ(manifest["options"]["adapter"], "LoRA of rank 2 merged into 1 tensors");
}

TEST_F(Adapters, InspectTrainEvaluateAndRunTakeThem) {
  EXPECT_EQ(inspected({path("adapter")})["adapter"], "LoRA of rank 2 merged into 1 tensors");
  EXPECT_EQ(inspected({path("rm")})["adapter"], "");
  Outcome outcome = run_charm({"train", "--model", path("adapter"), "--preferences",
                               path("world/annotations.jsonl"), "--output", path("trained"),
                               "--max-steps", "1", "--dtype", "float32", "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(inspected({path("trained")})["head"], "linear");
  EXPECT_EQ(json::parse(read_file(path("trained/manifest.json")))["options"]["adapter"], "merged");
  outcome = run_charm({"evaluate", "--benchmark", "rm-bench", "--model", path("adapter"), "--data",
                       path("world/style_pairs.json"), "--output", path("e.json"), "--quiet"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(read_file(path("e.json.manifest.json")))["options"]["adapter"], "merged");
  std::string recipe = "run_dir: run\npolicies:\n";
  for (const demo::WorldPolicy& policy : demo::world_policies()) {
    const std::string& name = policy.contestant.name;
    recipe += "  - {name: " + name + ", responses: world/responses/" + name + ".jsonl}\n";
  }
  recipe +=
      "ratings: world/ratings.json\n"
      "reward_model: {model: rm, adapter: adapter, dtype: float32}\n"
      "calibration: {reference: helper, bootstrap: 20}\n"
      "training: {max_steps: 1, dtype: float32}\n"
      "evaluation: [{benchmark: rm-bench, data: world/style_pairs.json, bootstrap: 20}]\n";
  write_file(path("recipe.yaml"), recipe);
  outcome = run_charm({"run", path("recipe.yaml"), "--quiet"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace charm::e2e
