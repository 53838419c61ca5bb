// Which reward head config.json, tensors and options name.
#include "charm/engine/heads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/safetensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::config_text;
using testing_support::failure;
using testing_support::read;
using testing_support::tiny_config;

TEST(Heads, AreKnownByArchitectureOrByTheirSettings) {
  EXPECT_EQ(
      read("INFORMForSequenceClassification", "llama", R"("auto_map": {"AutoModel": "x.Y"})").head,
      HeadKind::kTwoLayers);
  const DecoderConfig grm =
      read("LlamaForCausalLM", "llama",
           R"("vhead_layer_type": "mlp", "vhead_num_neurons": 12, "vhead_num_layers": 2)");
  EXPECT_EQ(grm.head, HeadKind::kValueHead);
  EXPECT_EQ(grm.head_num_hidden, 2);
  EXPECT_EQ(grm.head_hidden_width, 12);
  EXPECT_EQ(grm.pad_token_id, -1);  // pools the last token, whatever it is
  EXPECT_EQ(read("GRewardModel", "qwen2", R"("vhead_layer_type": "linear")").head_num_hidden, 0);
  EXPECT_EQ(read("LlamaForCausalLM", "llama").head, HeadKind::kNone);
  EXPECT_EQ(read("LlamaForSequenceClassification", "llama", R"("vhead_layer_type": "mlp")").head,
            HeadKind::kLinear);
}

TEST(Heads, RegressionAndGatedOnes) {
  EXPECT_EQ(read("EurusRewardModel", "mistral", R"("auto_map": {"AutoModel": "x.Y"})").head,
            HeadKind::kRegression);
  EXPECT_EQ(read("LlamaRewardModel", "llama", R"("pad_token_id": 5)").pad_token_id, -1);
  EXPECT_EQ(read("Qwen2ForRewardModel", "qwen2", R"("pad_token_id": 5)").pad_token_id, 5);
  const std::string own =
      R"("num_objectives": 5, "gating_n_hidden": 2, "gating_hidden_dim": 12, "gating_temperature": 2)";
  const DecoderConfig gated =
      read("LlamaForRewardModelWithGating", "llama", own + R"(, "gating_token_pattern": [7, 8])");
  EXPECT_EQ(gated.head, HeadKind::kGated);
  EXPECT_EQ(gated.num_objectives, 5);
  EXPECT_EQ(gated.gate_temperature, 2.0);
  EXPECT_THAT(gated.gate_tokens, ElementsAre(7, 8));
  const DecoderConfig usual =
      read("LlamaForRewardModelWithGating", "llama", R"("vocab_size": 128257)");
  EXPECT_EQ(usual.num_objectives, 19);
  EXPECT_EQ(usual.gate_temperature, 10.0);
  EXPECT_THAT(usual.gate_tokens, ElementsAre(128009, 128006, 78191, 128007, 271));
  EXPECT_THAT(failure("LlamaForRewardModelWithGating", "llama"),
              AllOf(HasSubstr("vocab_size"), HasSubstr("128009")));
  EXPECT_THAT(failure("LlamaForRewardModelWithGating", "qwen2"), HasSubstr("gating_token_pattern"));
}

TEST(Heads, OfACausalLmAreFoundByTensorsOptionsOrName) {
  const std::string lm = config_text("LlamaForCausalLM", "llama", "");
  const auto with = [&](const HeadEvidence& evidence) {
    return parse_model_config(lm, "config.json", evidence);
  };
  const HeadTensor value{.shape = {1, 32}, .file = "value_head.bin"};
  const DecoderConfig trl = with({.tensors = {{"v_head.summary.weight", value}}});
  EXPECT_EQ(trl.head, HeadKind::kValueHead);
  EXPECT_EQ(trl.head_num_hidden, 0);
  EXPECT_EQ(trl.head_place, "value_head.bin");
  EXPECT_EQ(with({.tensors = {{"score.weight", value}}}).head, HeadKind::kNone);
  HeadTensor own = value;
  own.from_adapter = true;
  const DecoderConfig adapter = with({.tensors = {{"score.weight", own}}});
  EXPECT_EQ(adapter.head, HeadKind::kLinear);
  EXPECT_EQ(adapter.architecture, "LlamaForSequenceClassification");
  EXPECT_EQ(with({.logit_id = 7}).head_logit_id, 7);
  EXPECT_THAT(charm::testing::error_of([&] { with({.logit_id = 99999}); }).message(),
              HasSubstr("vocabulary"));
  const char* folder = "/cache/models--nvidia--Llama-3.1-Nemotron-70B-Reward-HF/snapshots/abc";
  EXPECT_EQ(with({.folder = folder}).head, HeadKind::kLmLogit);
  EXPECT_EQ(with({.folder = "/Nemotron/Reward/llama"}).head, HeadKind::kNone);
}

TEST(Heads, OpenRlhfsPrefixAndNormalisation) {
  const HeadTensor row{.shape = {1, 32}, .file = "model.safetensors"};
  const auto read = [&](const std::string& extra, const std::string& tensor) {
    return parse_model_config(config_text("RewardModel", "llama", extra), "config.json",
                              {.tensors = {{tensor, row}}});
  };
  EXPECT_EQ(read("", "value_head.weight").head_name, "value_head");
  EXPECT_EQ(read("", "reward_head.weight").head_name, "reward_head");
  EXPECT_EQ(read(R"("value_head_prefix": "vh")", "score.weight").head_name, "vh");
  const DecoderConfig raw = read(R"("mean": 2.0, "std": 3.0)", "score.weight");
  EXPECT_EQ(raw.score_std, 1.0) << "normalised only where config.json says so";
  EXPECT_EQ(raw.pad_token_id, -1);
  const DecoderConfig normalised =
      read(R"("mean": -2.0, "std": 3.0, "normalize_reward": true)", "score.weight");
  EXPECT_EQ(normalised.score_mean, -2.0);
  EXPECT_EQ(normalised.score_std, 3.0);
  EXPECT_THAT(charm::testing::error_of([&] {
                read(R"("mean": 0.0, "std": 0.0, "normalize_reward": true)", "score.weight");
              }).message(),
              HasSubstr("std is 0.0"));
}

TEST(Heads, TheRewardTokenOfInternLm2) {
  const std::string own = R"("bias": false, "reward_token_id": 40)";
  const DecoderConfig config = read("InternLM2ForRewardModel", "internlm2", own);
  EXPECT_EQ(config.head, HeadKind::kRewardToken);
  EXPECT_EQ(config.appended_token, 40);
  EXPECT_EQ(config.pad_token_id, -1);
  const auto bad = [](const std::string& extra) {
    return failure("InternLM2ForRewardModel", "internlm2", extra);
  };
  EXPECT_THAT(bad(R"("reward_token_id": 40)"), HasSubstr("bias"));
  EXPECT_THAT(bad(R"("bias": false)"), HasSubstr("reward_token_id"));
  EXPECT_THAT(bad(R"("bias": false, "reward_token_id": 48)"), HasSubstr("reward_token_id is 48"));
  EXPECT_THAT(bad(own + R"(, "num_local_experts": 4)"), HasSubstr("num_local_experts"));
}

TEST(Heads, QrmUnderArmoRmsClassName) {
  const auto read = [](const std::string& architecture, const std::string& extra) {
    return parse_model_config(
        config_text(architecture, "llama", R"("gating_token_pattern": [7, 8])" + extra),
        "config.json",
        {.tensors = {{"regression_layer.weight", {.shape = {12, 32}}},
                     {"gating.layers.0.weight", {.shape = {3, 32}}}}});
  };
  for (const char* name : {"LlamaForRewardModelWithGating", "LlamaForRewardModelWithGating3"}) {
    const DecoderConfig config = read(name, R"(, "num_quantiles": 4)");
    EXPECT_EQ(config.head, HeadKind::kQuantiles) << name;
    EXPECT_EQ(config.num_objectives, 3) << name;
  }
  EXPECT_EQ(read("LlamaForRewardModelWithGating", "").head, HeadKind::kGated);
  EXPECT_THAT(charm::testing::error_of([&] {
                read("LlamaForRewardModelWithGating", R"(, "num_quantiles": 5)");
              }).message(),
              AllOf(HasSubstr("num_quantiles is 5"), HasSubstr("12 outputs for 3 objectives")));
}

TEST(Heads, WhatCannotBeScoredIsRefusedByName) {
  for (const std::string name : {"RewardModelWithGating", "Gemma2ForRewardModelWithGating"}) {
    EXPECT_THAT(failure(name, "llama"), AllOf(HasSubstr(name), HasSubstr("gating network")));
  }
  EXPECT_THAT(failure("LlamaForCausalLM", "llama", R"("auto_map": {"AutoModel": "x.Y"})"),
              HasSubstr("auto_map"));
  EXPECT_THAT(failure("GRewardModel", "mamba"), HasSubstr("model_type"));
  EXPECT_THAT(failure("GRewardModel", "llama", R"("vhead_layer_type": "attention")"),
              HasSubstr("vhead_layer_type"));
  EXPECT_THAT(failure("GRewardModel", "llama", R"("vhead_num_layers": 0)"),
              HasSubstr("vhead_num_layers"));
  EXPECT_THAT(failure("GRewardModel", "llama", R"("vhead_num_output": 5)"),
              HasSubstr("vhead_num_output"));
}

}  // namespace
}  // namespace charm::engine
