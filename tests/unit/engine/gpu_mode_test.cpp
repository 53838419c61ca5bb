// Mode::kGpu on the CPU, compared with the two other modes.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <map>

#include "charm/engine/kv_cache.h"
#include "charm/engine/token_batch.h"
#include "tests/unit/engine/decoder_fixture.h"

namespace charm::engine {
namespace {

constexpr AttentionKernel kKernels[] = {AttentionKernel::kFlash, AttentionKernel::kPadded};

/// Adds biases to the other configs' features.
DecoderConfig biased_config() {
  DecoderConfig config = small_config();
  config.attention_bias = config.mlp_bias = true;
  return config;
}

DecoderWeights weights_of(const DecoderConfig& config, at::ScalarType dtype) {
  DecoderWeights weights = random_weights(config, /*seed=*/11);
  RandomStream stream(7, "biases");
  for (auto& [name, tensor] : named_weights(weights, config)) {
    if (tensor->dim() == 1) {
      for (std::int64_t i = 0; i < tensor->numel(); ++i)
        tensor->mutable_data_ptr<float>()[i] += static_cast<float>(0.3 * stream.normal());
    }
    *tensor = tensor->to(dtype);
  }
  return weights;
}

Decoder gpu_decoder(const DecoderConfig& config, at::ScalarType dtype, AttentionKernel kernel) {
  return Decoder(config, weights_of(config, dtype), Mode::kGpu, GemmBackend::kAtenLinear, kernel);
}

std::vector<PromptGroup> some_groups() {
  RandomStream stream(3, "gpu_mode_test");
  return {{random_ids(stream, 40),
           {random_ids(stream, 9), random_ids(stream, 70), random_ids(stream, 1)},
           {0, 1, 2}},
          {{}, {random_ids(stream, 30)}, {3}},
          {random_ids(stream, 1), {random_ids(stream, 5)}, {4}}};
}

class GpuMode : public testing::TestWithParam<DecoderConfig (*)()> {};
INSTANTIATE_TEST_SUITE_P(Models, GpuMode,
                         testing::Values(small_config, featured_config, dynamic_config,
                                         biased_config, expert_config, fused_config));

TEST_P(GpuMode, EqualsTheOtherModes) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  const std::vector<float> expected =
      run(Decoder(config, weights_of(config, at::kFloat), Mode::kInference), some_groups());
  for (const AttentionKernel kernel : kKernels) {
    const std::vector<float> scores = run(gpu_decoder(config, at::kFloat, kernel), some_groups());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(scores[i], expected[i], 2e-5) << i;
    double scale = 0.0;
    for (const float s : expected) scale = std::max(scale, std::abs(double{s}));
    const std::vector<float> coarse =
        run(gpu_decoder(config, at::kBFloat16, kernel), some_groups());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(coarse[i], expected[i], 0.1 * scale) << i;
  }
}

TEST_P(GpuMode, BatchesOfAnySizeComputeTheirPromptOnce) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  const bool lengths_matter =
      config.rope.kind == RopeKind::kDynamic;  // longer sequences then share no prompt
  for (const AttentionKernel kernel : kKernels) {
    const Decoder decoder = gpu_decoder(config, at::kFloat, kernel);
    RandomStream stream(6, "one_prompt");
    PromptGroup group{random_ids(stream, 50), {}, {}};
    std::int64_t tokens = 50;
    for (std::size_t k = 0; k < 60; ++k) {
      group.responses.push_back(random_ids(stream, 1 + stream.below(lengths_matter ? 10 : 40)));
      group.rows.push_back(k);
      tokens += std::ssize(group.responses.back());
    }
    std::map<std::int64_t, std::vector<float>> scores;
    for (const std::int64_t budget : {100, 333, 1 << 20}) {
      std::int64_t computed = 0;
      for (const auto& groups : plan_batches({group}, budget)) {
        const BatchLayout layout = decoder.layout(pack(groups));
        computed += layout.num_tokens;
        const at::Tensor found = decoder.forward(layout).contiguous();
        scores[budget].insert(scores[budget].end(), found.const_data_ptr<float>(),
                              found.const_data_ptr<float>() + found.numel());
      }
      EXPECT_EQ(computed, tokens) << budget;
      for (std::size_t i = 0; i < 60; ++i)
        EXPECT_NEAR(scores[budget][i], scores[100][i], 2e-5) << budget;
    }
  }
}

TEST_P(GpuMode, ChunkedPrefillGivesTheSameHiddenStates) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  RandomStream stream(8, "pieces");
  const std::vector<std::vector<std::int32_t>> texts = {random_ids(stream, 150),
                                                        random_ids(stream, 20)};
  const std::vector<std::vector<std::int32_t>> blocks = {{3, 0, 4}, {2}};
  const auto hidden = [&](const Decoder& decoder) {
    KvCache cache(decoder.cache_shape(), 5);
    std::vector<at::Tensor> rows;
    const std::vector<std::pair<std::int64_t, std::int64_t>> steps[] = {
        {{0, 70}, {0, 0}}, {{70, 149}, {0, 19}}, {{149, 150}, {19, 20}}};
    for (const auto& step : steps) {
      CachedBatch batch;
      for (std::size_t s = 0; s < texts.size(); ++s) {
        const auto [begin, end] = step[s];
        if (begin == end) continue;
        batch.sequences.push_back({.ids = {texts[s].begin() + begin, texts[s].begin() + end},
                                   .first_position = begin,
                                   .prompt_length = std::ssize(texts[s]),
                                   .blocks = blocks[s],
                                   .wants_logits = s == 0});
      }
      rows.push_back(decoder.hidden(decoder.layout(batch, cache)).to(at::kFloat).clone());
    }
    cache.copy_block(4, 1);
    rows.push_back(decoder.hidden(decoder.layout(
        {{{.ids = {5}, .first_position = 150, .prompt_length = 150, .blocks = {3, 0, 1}}}},
        cache)));
    return rows;
  };
  const std::vector<at::Tensor> expected =
      hidden(Decoder(config, weights_of(config, at::kFloat), Mode::kInference));
  for (const AttentionKernel kernel : kKernels) {
    const std::vector<at::Tensor> found = hidden(gpu_decoder(config, at::kFloat, kernel));
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_LE((found[i] - expected[i]).abs().max().item<double>(),
                1e-4 * expected[i].abs().max().item<double>())
          << i;
    }
  }
  // A pass without logits.
  const Decoder decoder = gpu_decoder(config, at::kFloat, AttentionKernel::kFlash);
  KvCache cache(decoder.cache_shape(), 1);
  EXPECT_EQ(
      decoder
          .hidden(decoder.layout({{{.ids = {1, 2}, .blocks = {0}, .wants_logits = false}}}, cache))
          .size(0),
      0);
}

}  // namespace
}  // namespace charm::engine
