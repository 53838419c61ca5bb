// config.json of the families that are scored alone: Qwen3.5 and Gemma-4.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/engine/model_config.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::read;

std::string refusal(const std::string& architecture, const std::string& type,
                    const std::string& extra = "") {
  const Error error = charm::testing::error_of([&] { read(architecture, type, extra); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  return error.message();
}

const char* const kQwen35Text = "Qwen3_5TextForSequenceClassification";

TEST(Qwen35, LayersOfLinearAttention) {
  const auto config = [](const std::string& extra) {
    return read(kQwen35Text, "qwen3_5_text", extra);
  };
  EXPECT_THAT(config("").delta_net->layers, ElementsAre(0, 1));  // every fourth has attention
  EXPECT_THAT(config(R"("full_attention_interval": 2)").delta_net->layers, ElementsAre(0));
  EXPECT_THAT(config(R"("full_attention_interval": 1)").delta_net->layers, IsEmpty());
  EXPECT_THAT(config(R"("layer_types": ["full_attention", "linear_attention"])").delta_net->layers,
              ElementsAre(1));
  EXPECT_THAT(config(R"("layer_types": ["mamba", "attention"])").delta_net->layers, ElementsAre(0));
  const DecoderConfig sized =
      config(R"("linear_num_key_heads": 2, "linear_num_value_heads": 6, "linear_key_head_dim": 16,
                "linear_value_head_dim": 24, "linear_conv_kernel_dim": 3, "mlp_only_layers": [])");
  EXPECT_EQ(sized.delta_net->shape.channels(), 2 * 2 * 16 + 6 * 24);
  EXPECT_EQ(sized.delta_net->taps, 3);
}

TEST(Qwen35, RopeOfAQuarterOfAHead) {
  const auto rope = [](const std::string& extra) {
    return read(kQwen35Text, "qwen3_5_text", extra).rope;
  };
  EXPECT_EQ(rope("").partial_factor, 0.25);
  EXPECT_EQ(rope(R"("partial_rotary_factor": 0.5)").partial_factor, 0.5);
  const RopeConfig published = rope(
      R"("rope_parameters": {"mrope_interleaved": true, "mrope_section": [11, 11, 10],
         "rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.5})");
  EXPECT_EQ(published.partial_factor, 0.5);
  EXPECT_EQ(published.theta, 1e7);
}

TEST(Qwen35, WhatIsNotComputedIsRefusedByName) {
  const auto bad = [](const std::string& extra) {
    return refusal(kQwen35Text, "qwen3_5_text", extra);
  };
  EXPECT_THAT(bad(R"("layer_types": ["linear_attention", "sliding_attention"])"),
              HasSubstr("'sliding_attention' is not supported"));
  EXPECT_THAT(bad(R"("layer_types": ["linear_attention"])"), HasSubstr("each of the 2 layers"));
  EXPECT_THAT(bad(R"("linear_num_key_heads": 3, "linear_num_value_heads": 4)"),
              HasSubstr("a multiple of linear_num_key_heads (3)"));
  EXPECT_THAT(bad(R"("linear_conv_kernel_dim": 1)"), HasSubstr("linear_conv_kernel_dim"));
  EXPECT_THAT(bad(R"("attn_output_gate": false)"), HasSubstr("attn_output_gate"));
  EXPECT_THAT(bad(R"("hidden_act": "gelu")"), HasSubstr("hidden_act"));
  EXPECT_THAT(bad(R"("num_experts": 8)"), HasSubstr("num_experts"));
  EXPECT_THAT(bad(R"("sliding_window": 8)"), HasSubstr("sliding_window"));
  for (const std::string name : {"Qwen3_5MoeForCausalLM", "Qwen3NextForCausalLM"})
    EXPECT_THAT(refusal(name, "qwen3_5_moe_text"), HasSubstr("unknown architecture '" + name));
  EXPECT_THAT(refusal("Qwen3ForSequenceClassification", "qwen3",
                      R"("rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]})"),
              HasSubstr("mrope_section"));
  const DecoderConfig config = read(kQwen35Text, "qwen3_5_text");
  EXPECT_THAT(charm::testing::error_of([&] {
                require_more_than_scores(config, "training", "train it elsewhere");
              }).message(),
              AllOf(HasSubstr(kQwen35Text), HasSubstr("training is not supported"),
                    HasSubstr("train it elsewhere")));
}

const char* const kGemma4Text = "Gemma4TextForSequenceClassification";

TEST(Gemma4, SizesOfLayersInBothSpellings) {
  const std::string common =
      R"("layer_types": ["sliding_attention", "full_attention"], "head_dim": 8,
         "attention_k_eq_v": true, "hidden_size_per_layer_input": 0, )";
  const auto config = [&](const std::string& extra) {
    return read(kGemma4Text, "gemma4_text", common + extra);
  };
  const DecoderConfig published =
      config(R"("global_head_dim": 16, "num_global_key_value_heads": 1)");
  EXPECT_EQ(head_dim(published, 0), 8);
  EXPECT_EQ(head_dim(published, 1), 16);
  EXPECT_EQ(num_kv_heads(published, 0), 2);
  EXPECT_EQ(num_kv_heads(published, 1), 1);
  EXPECT_EQ(published.rope.head_dim, 16);
  // As transformers 5 writes it.
  EXPECT_EQ(config(R"("per_layer_config": {"1": {"head_dim": 16, "num_key_value_heads": 1}})"),
            published);
  EXPECT_EQ(config(R"("per_layer_config": {})"),
            config(R"("global_head_dim": 8, "num_global_key_value_heads": 2)"));
  EXPECT_EQ(head_dim(read(kGemma4Text, "gemma4_text", R"("head_dim": 8)"), 1), 512);
}

TEST(Gemma4, LayersShareKeysAndValues) {
  const DecoderConfig config =
      read(kGemma4Text, "gemma4_text",
           R"("num_hidden_layers": 5, "num_kv_shared_layers": 2, "use_double_wide_mlp": true,
              "vocab_size_per_layer_input": 48, "layer_types": ["full_attention",
              "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"])");
  const auto layers = [&](bool (*holds)(const DecoderConfig&, std::size_t)) {
    std::vector<std::size_t> found;
    for (std::size_t layer = 0; layer < 5; ++layer) {
      if (holds(config, layer)) found.push_back(layer);
    }
    return found;
  };
  EXPECT_THAT(layers(shares_kv), ElementsAre(3, 4));
  EXPECT_THAT(layers(lends_kv), ElementsAre(0, 2));
  EXPECT_EQ(mlp_width(config, 2), 40);
  EXPECT_EQ(mlp_width(config, 3), 80);
}

TEST(Gemma4, RopeOfAShareOfAHeadsPairs) {
  const DecoderConfig usual = read(kGemma4Text, "gemma4_text");
  EXPECT_EQ(usual.rope.kind, RopeKind::kProportional);
  EXPECT_EQ(usual.rope.rotated_pairs, 0.25);
  EXPECT_EQ(usual.rope.theta, 1e6);
  EXPECT_EQ(usual.local_rope->theta, 1e4);
  EXPECT_EQ(rotary_dim(usual, usual.rope), 512);
  EXPECT_EQ(rotary_dim(usual, *usual.local_rope), 256);
}

TEST(Gemma4, WhatIsNotComputedIsRefusedByName) {
  const auto bad = [](const std::string& extra) {
    return refusal(kGemma4Text, "gemma4_text", extra);
  };
  EXPECT_THAT(bad(R"("enable_moe_block": true)"), HasSubstr("enable_moe_block"));
  EXPECT_THAT(bad(R"("num_experts": 8)"), HasSubstr("num_experts"));
  EXPECT_THAT(bad(R"("use_bidirectional_attention": "all")"),
              HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(bad(R"("layer_types": ["linear_attention", "full_attention"])"),
              HasSubstr("'linear_attention' is not supported"));
  EXPECT_THAT(bad(R"("num_kv_shared_layers": 2)"), HasSubstr("num_kv_shared_layers"));
  EXPECT_THAT(bad(R"("vocab_size_per_layer_input": 40)"), HasSubstr("vocab_size_per_layer_input"));
  EXPECT_THAT(bad(R"("per_layer_config": {"0": {"intermediate_size": 80}})"),
              HasSubstr("intermediate_size"));
  EXPECT_THAT(bad(R"("per_layer_config": {"0": {"head_dim": 8}})"), HasSubstr("layer 0 differs"));
  EXPECT_THAT(bad(R"("rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1.0},
                     "sliding_attention": {"rope_type": "default", "rope_theta": 1.0}})"),
              HasSubstr("default or proportional"));
  EXPECT_THAT(charm::testing::error_of([&] {
                require_more_than_scores(read(kGemma4Text, "gemma4_text"), "generation", "use x");
              }).message(),
              AllOf(HasSubstr("generation is not supported"), HasSubstr("gemma4_text"),
                    HasSubstr("use x")));
}

}  // namespace
}  // namespace charm::engine
