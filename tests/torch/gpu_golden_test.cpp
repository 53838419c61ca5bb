// The golden ladder on a GPU: tiny models of every family against transformers, and gradients
// against those of the same code on a CPU.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "charm/engine/model_config.h"
#include "charm/engine/model_source.h"
#include "charm/engine/plugin.h"
#include "charm/torch/varlen_attention.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"
#include "tests/golden/trained_models.h"
#include "tests/torch/plugin_path.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

class GpuGolden : public testing::Test {
 protected:
  void SetUp() override {
    if (!backend_.has_gpu())
      GTEST_SKIP() << "no GPU here, or built without CUDA (cmake preset cuda)";
  }

  std::unique_ptr<engine::RewardModel> load(const fs::path& folder,
                                            engine::DTypeChoice dtype) const {
    const engine::ModelSource source = engine::resolve_model_source(folder, {});
    return backend_.load_reward_model(source, engine::load_model_config(source),
                                      {.dtype = dtype, .device = engine::DeviceChoice::kCuda});
  }

  void check_scores(engine::DTypeChoice dtype) const {
    const std::string key = dtype == engine::DTypeChoice::kBFloat16 ? "score_bfloat16" : "score";
    for (const char* name : kModels) {
      SCOPED_TRACE(name);
      const fs::path folder = data_dir() / "models" / name;
      const Json fixture = read_json(folder / "golden.json");
      const auto reward_model = load(folder, dtype);
      std::string attention;
      for (const auto& [fact, value] : reward_model->provenance()) {
        if (fact == "attention") attention = value;
      }
      const engine::PackedBatch batch = pack_rows(
          fixture["rows"], reward_model->config().pad_token_id, reward_model->config().gate_tokens);
      compare_scores(std::string(name) + ", " + key + ", attention " + attention,
                     reward_model->score(batch), batch, fixture, "score_float64",
                     fixture["tolerance"][key].get<double>());
    }
  }

  const engine::DeviceBackend& backend_ = engine::load_plugin(test::kPluginPath);
};

TEST_F(GpuGolden, Float32ScoresEqualTransformers) { check_scores(engine::DTypeChoice::kFloat32); }

TEST_F(GpuGolden, BFloat16ScoresStayWithinTransformersOwnError) {
  check_scores(engine::DTypeChoice::kBFloat16);
}

TEST_F(GpuGolden, TwoBatchesInFlightGiveTheScoresOfOneAfterTheOther) {
  const fs::path folder = data_dir() / "models" / "gqa";
  const Json fixture = read_json(folder / "golden.json");
  const auto reward_model = load(folder, engine::DTypeChoice::kFloat32);
  const engine::PackedBatch batch = pack_rows(fixture["rows"], reward_model->config().pad_token_id,
                                              reward_model->config().gate_tokens);
  const std::vector<float> expected = reward_model->score(batch);
  for (int round = 0; round < 20; ++round) {
    const auto first = reward_model->start(batch);
    const auto second = reward_model->start(batch);
    EXPECT_EQ(first(), expected);
    EXPECT_EQ(second(), expected);
  }
}

TEST_F(GpuGolden, FlashAttentionRunsForTheHeadsOfPublishedModels) {
  const c10::InferenceMode guard;
  for (const std::int64_t head_dim : {64, 96, 128, 256}) {
    for (const std::int64_t window : {0, 4096}) {
      const engine::AttentionConfig config{.window = window};
      EXPECT_EQ(torch::choose_attention_kernel({32, 8, head_dim}, std::span(&config, 1),
                                               at::kBFloat16, at::Device(at::kCUDA)),
                torch::AttentionKernel::kFlash)
          << "heads of " << head_dim << ", window " << window;
    }
  }
}

TEST_F(GpuGolden, GradientsEqualTheCpus) {
  for (const char* name : {"gqa", "gemma2", "qwen3", "grm"}) {
    SCOPED_TRACE(name);
    const fs::path folder = data_dir() / "models" / name;
    const Json fixture = read_json(folder / "golden.json");
    const engine::DecoderConfig config = engine::load_model_config(folder);
    const engine::PackedBatch batch = pack_rows(fixture["rows"], config.pad_token_id, {});
    const auto gradients = [&](engine::DeviceChoice device) {
      const auto model =
          backend_.make_trainable_model(config, load_float32(folder, config), {}, device);
      model->accumulate_gradients(batch, sum_of);
      return model->gradients();
    };
    const auto cpu = gradients(engine::DeviceChoice::kCpu);
    const auto gpu = gradients(engine::DeviceChoice::kCuda);
    ASSERT_EQ(cpu.size(), gpu.size());
    Worst worst(std::string(name) + ", gradients relative to their largest");
    for (std::size_t t = 0; t < cpu.size(); ++t) {
      const float* expected = cpu[t].second.data<float>();
      const float* found = gpu[t].second.data<float>();
      const std::int64_t count = cpu[t].second.numel();
      double largest = 1e-6;
      for (std::int64_t i = 0; i < count; ++i)
        largest = std::max(largest, std::abs(double{expected[i]}));
      for (std::int64_t i = 0; i < count; ++i)
        worst.add((found[i] - expected[i]) / largest, 0.0, cpu[t].first);
    }
    worst.check(1e-4);
  }
}

}  // namespace
}  // namespace charm::golden
