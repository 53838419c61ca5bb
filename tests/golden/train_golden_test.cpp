// `charm train` against transformers' Trainer recipe: one AdamW step, and ten with warm-up, cosine
// decay (transformers' schedule without its step of learning rate 0) and clipping. The saved
// weights are compared, so that saving and loading are covered.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "charm/engine/model_config.h"
#include "charm/train/train_stage.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/trained_models.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::golden {
namespace {

/// The run's metrics against the reference: loss, gradient norm before clipping, learning rate.
void compare_steps(const std::filesystem::path& metrics, const Json& steps, double tolerance) {
  std::ifstream file(metrics);
  std::size_t step = 0;
  Worst loss("loss of each step"), norm("gradient norm of each step"),
      rate("learning rate of each step");
  for (std::string line; std::getline(file, line);) {
    const Json found = Json::parse(line);
    if (found["kind"] != "train") continue;
    ASSERT_LT(step, steps.size());
    const std::string where = "step " + std::to_string(step);
    loss.add(found["loss"].get<double>(), steps[step]["loss"].get<double>(), where);
    norm.add(found["grad_norm"].get<double>(), steps[step]["grad_norm"].get<double>(), where);
    rate.add(found["learning_rate"].get<double>(), steps[step]["learning_rate"].get<double>(),
             where);
    ++step;
  }
  EXPECT_EQ(step, steps.size());
  loss.check(tolerance);
  norm.check(tolerance);
  rate.check(1e-12);
}

class TrainGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(TrainGolden, WeightsEqualTransformers) {
  const std::string run = GetParam();
  const std::filesystem::path root = data_dir() / "train";
  const Json fixture = read_json(root / "golden.json");
  const testing::TempFolder folder;
  const std::filesystem::path output = folder / run;

  train::TrainOptions options;
  options.model = root / "model";
  options.preferences = root / "preferences.jsonl";
  options.output = output;
  options.learning_rate = fixture["options"]["learning_rate"];
  options.weight_decay = fixture["options"]["weight_decay"];
  options.adam_beta1 = fixture["options"]["adam_beta1"];
  options.adam_beta2 = fixture["options"]["adam_beta2"];
  options.adam_eps = fixture["options"]["adam_eps"];
  options.clip_norm = fixture["options"]["clip_norm"];
  options.pairs_per_step =
      static_cast<std::int64_t>(fixture["pairs"].size());  // every step sees every pair
  options.epochs = run == "step1" ? 1 : 10;
  options.warmup_fraction = run == "step1" ? 0.0 : 0.2;
  options.budget_tokens = 128;  // several micro-batches per step: covers gradient accumulation
  options.eval_fraction = 0.0;
  options.dtype = train::ComputeDType::kFloat32;
  options.device = "cpu";
  options.threads = 1;
  const train::TrainResult result = train::train(options, {});
  EXPECT_EQ(result.num_steps, run == "step1" ? 1 : 10);

  compare_steps(output / "metrics.jsonl",
                run == "step1" ? fixture["step1"] : fixture["step10"]["steps"],
                fixture["tolerance"]["loss"].get<double>());

  const engine::DecoderConfig config = engine::load_model_config(output);
  engine::DecoderWeights found = load_float32(output, config);
  compare_tensors("weights after " + run, named_tensors(found, config),
                  load_float32(root / run, config), config,
                  fixture["tolerance"][run].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Runs, TrainGolden, ::testing::Values("step1", "step10"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace charm::golden
