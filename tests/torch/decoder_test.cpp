// The back end's decoder with every feature of the families: prompts shared or not, prefixes
// reused, prefill in chunks; both attention kernels.
#include "charm/torch/decoder.h"

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <map>

#include "charm/engine/token_batch.h"
#include "charm/torch/kv_cache.h"
#include "tests/torch/decoders.h"

namespace charm::torch {
namespace {

using engine::DecoderConfig, engine::small_config, engine::featured_config, engine::dynamic_config,
    engine::expert_config, engine::fused_config;

DecoderConfig biased_config() {
  DecoderConfig config = small_config();
  config.attention_bias = config.mlp_bias = true;
  return config;
}

engine::DecoderWeights weights_of(const DecoderConfig& config) {
  engine::DecoderWeights weights = engine::random_weights(config, /*seed=*/11);
  RandomStream stream(7, "biases");
  for (auto& [name, tensor] : engine::named_weights(weights, config)) {
    if (tensor->shape().size() != 1) continue;
    auto* values = tensor->mutable_data<float>();
    for (std::int64_t i = 0; i < tensor->numel(); ++i)
      values[i] += static_cast<float>(0.3 * stream.normal());
  }
  return weights;
}

Decoder decoder_of(const DecoderConfig& config, at::ScalarType dtype, AttentionKernel kernel) {
  return make_decoder(config, weights_of(config), dtype, kernel);
}

std::vector<engine::PromptGroup> some_groups() {
  RandomStream stream(3, "torch_decoder_test");
  return {{random_ids(stream, 40),
           {random_ids(stream, 9), random_ids(stream, 70), random_ids(stream, 1)},
           {0, 1, 2}},
          {{}, {random_ids(stream, 30)}, {3}},
          {random_ids(stream, 1), {random_ids(stream, 5)}, {4}}};
}

class TorchDecoder : public testing::TestWithParam<DecoderConfig (*)()> {};
INSTANTIATE_TEST_SUITE_P(Models, TorchDecoder,
                         testing::Values(small_config, featured_config, dynamic_config,
                                         biased_config, expert_config, fused_config));

TEST_P(TorchDecoder, PackedGroupsHaveTheScoresOfEachRowAlone) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  const Decoder reference = decoder_of(config, at::kFloat, AttentionKernel::kFlash);
  std::vector<float> expected;
  for (const engine::PromptGroup& group : some_groups()) {
    for (std::vector<std::int32_t> response : group.responses) {
      response.insert(response.begin(), group.prompt_ids.begin(), group.prompt_ids.end());
      expected.push_back(scores_of(reference, {{{}, {response}, {0}}}).front());
    }
  }
  double scale = 0.0;
  for (const float score : expected) scale = std::max(scale, std::abs(double{score}));
  for (const AttentionKernel kernel : kKernels) {
    const std::vector<float> scores =
        scores_of(decoder_of(config, at::kFloat, kernel), some_groups());
    const std::vector<float> coarse =
        scores_of(decoder_of(config, at::kBFloat16, kernel), some_groups());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(scores[i], expected[i], 2e-5) << attention_kernel_name(kernel) << i;
      EXPECT_NEAR(coarse[i], expected[i], 0.1 * scale) << attention_kernel_name(kernel) << i;
    }
  }
}

TEST_P(TorchDecoder, BatchesOfAnySizeComputeTheirPromptOnce) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  const bool lengths_matter =
      config.rope.kind == engine::RopeKind::kDynamic;  // longer sequences then share no prompt
  for (const AttentionKernel kernel : kKernels) {
    const Decoder decoder = decoder_of(config, at::kFloat, kernel);
    RandomStream stream(6, "one_prompt");
    engine::PromptGroup group{random_ids(stream, 50), {}, {}};
    std::int64_t tokens = 50;
    for (std::size_t k = 0; k < 60; ++k) {
      group.responses.push_back(random_ids(stream, 1 + stream.below(lengths_matter ? 10 : 40)));
      group.rows.push_back(k);
      tokens += std::ssize(group.responses.back());
    }
    std::map<std::int64_t, std::vector<float>> scores;
    for (const std::int64_t budget : {100, 333, 1 << 20}) {
      std::int64_t computed = 0;
      PrefixCache prefix;
      for (const auto& groups : engine::plan_batches({group}, budget)) {
        const Layout layout = decoder.layout(engine::pack(groups), &prefix);
        computed += layout.num_tokens;
        const std::vector<float> found = to_vector(decoder.forward(layout));
        scores[budget].insert(scores[budget].end(), found.begin(), found.end());
      }
      EXPECT_EQ(computed, tokens) << budget;
      for (std::size_t i = 0; i < 60; ++i)
        EXPECT_NEAR(scores[budget][i], scores[100][i], 2e-5) << budget;
    }
  }
}

TEST_P(TorchDecoder, ChunkedPrefillGivesTheHiddenStatesOfOnePass) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  RandomStream stream(8, "pieces");
  const std::vector<std::vector<std::int32_t>> texts = {random_ids(stream, 150),
                                                        random_ids(stream, 20)};
  const std::vector<std::vector<std::int32_t>> blocks = {{3, 0, 4}, {2}};
  const auto options = at::TensorOptions().dtype(at::kFloat);
  for (const AttentionKernel kernel : kKernels) {
    const Decoder decoder = decoder_of(config, at::kFloat, kernel);
    KvCache whole(config, 5, options), cache(config, 5, options);
    const auto tokens = [&](std::size_t text, std::int64_t begin, std::int64_t end) {
      return engine::CachedTokens{.ids = {texts[text].begin() + begin, texts[text].begin() + end},
                                  .first_position = begin,
                                  .prompt_length = std::ssize(texts[text]),
                                  .blocks = blocks[text]};
    };
    const at::Tensor expected = decoder.hidden(
        decoder.layout(engine::CachedBatch{{tokens(0, 0, 150), tokens(1, 0, 20)}}, whole));
    decoder.hidden(decoder.layout(engine::CachedBatch{{tokens(0, 0, 70)}}, cache));
    decoder.hidden(
        decoder.layout(engine::CachedBatch{{tokens(0, 70, 149), tokens(1, 0, 19)}}, cache));
    const at::Tensor found = decoder.hidden(
        decoder.layout(engine::CachedBatch{{tokens(0, 149, 150), tokens(1, 19, 20)}}, cache));
    EXPECT_LE((found - expected).abs().max().item<double>(),
              1e-4 * expected.abs().max().item<double>())
        << attention_kernel_name(kernel);
    // A copied block gives the same next token.
    const engine::CachedTokens next{
        .ids = {5}, .first_position = 150, .prompt_length = 150, .blocks = {3, 0, 4}};
    engine::CachedTokens copied = next;
    copied.blocks = {3, 0, 1};
    cache.copy_block(4, 1);
    const at::Tensor after_copy =
        decoder.hidden(decoder.layout(engine::CachedBatch{{copied}}, cache));
    const at::Tensor original = decoder.hidden(decoder.layout(engine::CachedBatch{{next}}, whole));
    EXPECT_LE((after_copy - original).abs().max().item<double>(),
              1e-4 * original.abs().max().item<double>());
    EXPECT_EQ(decoder
                  .hidden(decoder.layout(
                      engine::CachedBatch{{{.ids = {1, 2}, .blocks = {0}, .wants_logits = false}}},
                      cache))
                  .size(0),
              0);
  }
}

}  // namespace
}  // namespace charm::torch
