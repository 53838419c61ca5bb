// The golden ladder on a GPU: tiny models of every family against transformers, and the two
// attention kernels against each other.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "charm/engine/decoder.h"
#include "charm/engine/load_decoder.h"
#include "charm/engine/reward_model.h"
#include "tests/golden/golden_fixture.h"
#include "tests/golden/scored_models.h"

namespace charm::golden {
namespace {

class GpuGolden : public testing::Test {
 protected:
  void SetUp() override {
    if (!engine::use_cuda(engine::DeviceChoice::kAuto))
      GTEST_SKIP() << "no GPU here, or built without CUDA (cmake preset cuda)";
  }
};

void check_scores(engine::DTypeChoice dtype) {
  const std::string key = dtype == engine::DTypeChoice::kBFloat16 ? "score_bfloat16" : "score";
  for (const char* name : kModels) {
    SCOPED_TRACE(name);
    const std::filesystem::path folder = data_dir() / "models" / name;
    const Json fixture = read_json(folder / "golden.json");
    const auto reward_model =
        engine::load_reward_model(folder, {.dtype = dtype, .device = engine::DeviceChoice::kCuda});
    std::string attention;
    for (const auto& [fact, value] : reward_model->provenance()) {
      if (fact == "attention") attention = value;
    }
    const engine::PackedBatch batch =
        pack_rows(fixture["rows"], reward_model->pad_token_id(), reward_model->gate_tokens());
    compare_scores(std::string(name) + ", " + key + ", attention " + attention,
                   reward_model->score(batch), batch, fixture, "score_float64",
                   fixture["tolerance"][key].get<double>());
  }
}

TEST_F(GpuGolden, Float32ScoresEqualTransformers) { check_scores(engine::DTypeChoice::kFloat32); }

TEST_F(GpuGolden, BFloat16ScoresStayWithinTransformersOwnError) {
  check_scores(engine::DTypeChoice::kBFloat16);
}

TEST_F(GpuGolden, TwoBatchesUnderWayGiveTheScoresOfOneAfterTheOther) {
  const std::filesystem::path folder = data_dir() / "models" / "gqa";
  const Json fixture = read_json(folder / "golden.json");
  const auto reward_model = engine::load_reward_model(
      folder, {.dtype = engine::DTypeChoice::kFloat32, .device = engine::DeviceChoice::kCuda});
  const engine::PackedBatch batch =
      pack_rows(fixture["rows"], reward_model->pad_token_id(), reward_model->gate_tokens());
  const std::vector<float> expected = reward_model->score(batch);
  for (int round = 0; round < 20; ++round) {
    const auto first = reward_model->start(batch);
    const auto second = reward_model->start(batch);
    EXPECT_EQ(first(), expected);
    EXPECT_EQ(second(), expected);
  }
}

TEST_F(GpuGolden, FlashAttentionRunsForTheHeadsOfPublishedModels) {
  for (const std::int64_t head_dim : {64, 96, 128, 256}) {
    for (const std::int64_t window : {0, 4096}) {
      const engine::AttentionConfig config{.window = window};
      EXPECT_EQ(engine::choose_attention_kernel({32, 8, head_dim}, std::span(&config, 1),
                                                at::kBFloat16, at::Device(at::kCUDA)),
                engine::AttentionKernel::kFlash)
          << "heads of " << head_dim << ", window " << window;
    }
  }
}

/// Gradients come from autograd mode: the same operators on either device.
TEST_F(GpuGolden, GradientsEqualTheCpus) {
  for (const char* name : {"gqa", "gemma2", "qwen3", "grm"}) {
    SCOPED_TRACE(name);
    const std::filesystem::path folder = data_dir() / "models" / name;
    const Json fixture = read_json(folder / "golden.json");
    const engine::DecoderConfig config = engine::load_model_config(folder);
    const engine::PackedBatch batch =
        pack_rows(fixture["rows"], config.pad_token_id, config.gate_tokens);
    const auto gradients = [&](const at::Device& device) {
      engine::DecoderWeights weights =
          engine::load_weights(folder, config, {.dtype = at::kFloat, .device = device});
      for (auto& [weight, tensor] : engine::named_weights(weights, config))
        tensor->set_requires_grad(true);
      const engine::Decoder decoder(config, weights, engine::Mode::kAutograd);
      decoder.forward(decoder.layout(batch)).sum().backward();
      std::vector<std::pair<std::string, at::Tensor>> found;
      for (auto& [weight, tensor] : engine::named_weights(weights, config))
        found.emplace_back(weight, tensor->grad().to(at::kCPU));
      return found;
    };
    const auto cpu = gradients(at::kCPU);
    const auto gpu = gradients(at::kCUDA);
    Worst worst(std::string(name) + ", gradients relative to their largest");
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      const double largest = std::max(cpu[i].second.abs().max().item<double>(), 1e-6);
      worst.add((gpu[i].second.sub(cpu[i].second)).abs().max().item<double>() / largest, 0.0,
                cpu[i].first);
    }
    worst.check(1e-4);
  }
}

}  // namespace
}  // namespace charm::golden
