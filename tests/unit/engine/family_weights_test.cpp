#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::config_text;
using testing_support::tiny_config;

/// The error of loading the weights of `stored` under the config `claimed`.
std::string load_failure(const std::string& stored, const std::string& claimed) {
  const testing::TempFolder folder;
  testing_support::write_tiny_model(folder.path(), stored);
  write_file(folder.path() / "config.json", claimed);
  try {
    load_weights(folder.path(), load_model_config(folder.path()), {.dtype = DType::kFloat32});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "";
}

TEST(Heads, MissingAndForeignHeadTensorsAreNamed) {
  const std::string linear = tiny_config();
  const std::string inform = config_text("INFORMForSequenceClassification", "llama", "");
  const std::string grm = config_text("LlamaForCausalLM", "llama",
                                      R"("vhead_layer_type": "mlp", "vhead_num_neurons": 12)");
  const std::string causal = config_text("LlamaForCausalLM", "llama", "");
  EXPECT_EQ(load_failure(inform, inform), "");
  EXPECT_EQ(load_failure(grm, grm), "");
  const std::string gated = config_text("LlamaForRewardModelWithGating", "llama",
                                        R"("num_objectives": 5, "gating_hidden_dim": 12,
      "gating_token_pattern": [7, 8])");
  EXPECT_EQ(load_failure(gated, gated), "");
  EXPECT_THAT(load_failure(linear, gated), HasSubstr("regression_layer.weight"));
  EXPECT_THAT(load_failure(gated, linear), HasSubstr("score.weight"));
  EXPECT_THAT(load_failure(linear, inform),
              AllOf(HasSubstr("score.0.weight"), HasSubstr("no reward head")));
  EXPECT_THAT(load_failure(causal, grm),
              AllOf(HasSubstr("v_head.summary.0.weight"), HasSubstr("no reward head")));
  EXPECT_THAT(load_failure(grm, causal), HasSubstr("v_head.summary.0.bias"));
  EXPECT_THAT(load_failure(inform, linear), HasSubstr("score.weight"));
  const std::string narrow =
      config_text("GRewardModel", "llama", R"("vhead_layer_type": "mlp", "vhead_num_neurons": 10)");
  EXPECT_THAT(load_failure(grm, narrow),
              AllOf(HasSubstr("v_head.summary.0.weight"), HasSubstr("[10, 32]")));
}

TEST(Wrappers, TowersAreLeftOutAndOneTensorHasOneName) {
  const std::string config = config_text("Qwen2_5_VLForSequenceClassification", "qwen2_5_vl", "");
  const testing::TempFolder folder;
  DecoderWeights weights = testing_support::write_tiny_model(folder.path(), config);
  const DecoderConfig parsed = load_model_config(folder.path());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : named_weights(weights, parsed))
    tensors.emplace_back(name, *tensor);
  const auto load_failure_with = [&](const std::string& name) -> std::string {
    auto more = tensors;
    more.emplace_back(name, weights.final_norm_D);
    write_safetensors(folder.path() / "model.safetensors", more, DType::kFloat32);
    try {
      load_weights(folder.path(), parsed, {.dtype = DType::kFloat32});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(load_failure_with("visual.blocks.0.norm1.weight"), "");
  EXPECT_EQ(load_failure_with("model.visual.blocks.0.norm1.weight"), "");
  EXPECT_THAT(load_failure_with("model.language_model.norm.weight"),
              AllOf(HasSubstr("'model.language_model.norm.weight'"), HasSubstr("both")));
  EXPECT_THAT(load_failure_with("audio.norm.weight"), HasSubstr("'audio.norm.weight'"));
}

TEST(Families, TensorsOfAnotherFamilyAreNamed) {
  const std::string llama_config = tiny_config();
  const std::string head_dim = R"("head_dim": 8)";
  const std::string qwen3 = config_text("Qwen3ForSequenceClassification", "qwen3", head_dim);
  const std::string qwen2_config = config_text("Qwen2ForSequenceClassification", "qwen2", "");
  const std::string gemma2_config =
      config_text("Gemma2ForSequenceClassification", "gemma2", head_dim);
  EXPECT_THAT(load_failure(qwen3, llama_config), HasSubstr("self_attn.q_norm.weight"));
  EXPECT_THAT(load_failure(llama_config, qwen2_config), HasSubstr("self_attn.q_proj.bias"));
  EXPECT_THAT(load_failure(gemma2_config, llama_config), HasSubstr("pre_feedforward_layernorm"));
  EXPECT_THAT(load_failure(llama_config, gemma2_config), HasSubstr("post_feedforward_layernorm"));
}

TEST(Families, ExpertsThatDoNotFitTheConfigAreCounted) {
  const auto mixtral = [](int num_experts, int width = 40) {
    return config_text("MixtralForSequenceClassification", "mixtral",
                       R"("num_experts_per_tok": 2, "num_local_experts": )" +
                           std::to_string(num_experts) + R"(, "intermediate_size": )" +
                           std::to_string(width));
  };
  EXPECT_EQ(load_failure(mixtral(4), mixtral(4)), "");
  EXPECT_THAT(load_failure(mixtral(4), mixtral(5)),
              AllOf(HasSubstr("4 experts"), HasSubstr("says 5")));
  EXPECT_THAT(load_failure(mixtral(4), mixtral(3)),
              AllOf(HasSubstr("4 experts"), HasSubstr("says 3")));
  EXPECT_THAT(load_failure(mixtral(4), mixtral(4, 48)),
              AllOf(HasSubstr("block_sparse_moe.experts.0.w1.weight"), HasSubstr("[48, 32]")));
  EXPECT_THAT(load_failure(mixtral(4), tiny_config()), HasSubstr("mlp.gate_proj.weight"));
}

std::string hybrid(const std::string& layer_types, const std::string& architecture,
                   const std::string& type = "qwen3_5_text") {
  return config_text(architecture, type,
                     R"("head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
      "linear_key_head_dim": 6, "linear_value_head_dim": 8, "layer_types": )" +
                         layer_types);
}

TEST(Qwen35, TensorsFollowTheKindOfTheLayer) {
  const std::string name = "Qwen3_5TextForSequenceClassification";
  const std::string first = hybrid(R"(["linear_attention", "full_attention"])", name);
  const std::string second = hybrid(R"(["full_attention", "linear_attention"])", name);
  EXPECT_EQ(load_failure(first, first), "");
  EXPECT_EQ(load_failure(second, second), "");
  EXPECT_THAT(load_failure(first, second), HasSubstr("model.layers.0.self_attn.q_proj.weight"));
  EXPECT_THAT(load_failure(hybrid(R"(["linear_attention", "linear_attention"])", name), first),
              HasSubstr("model.layers.1.self_attn.q_proj.weight"));
}

TEST(Qwen35, LayersThatPredictFurtherTokensAreIgnored) {
  const auto load = [](const std::string& config_json) -> std::string {
    const testing::TempFolder folder;
    DecoderWeights weights = testing_support::write_tiny_model(folder.path(), config_json);
    const DecoderConfig config = load_model_config(folder.path());
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const auto& [name, tensor] : named_weights(weights, config))
      tensors.emplace_back(name, *tensor);
    tensors.emplace_back("mtp.fc.weight", test::filled({4, 8}, 1.0F));
    write_safetensors(folder.path() / "model.safetensors", tensors, DType::kFloat32);
    try {
      load_weights(folder.path(), config, {.dtype = DType::kFloat32});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string text =
      hybrid(R"(["linear_attention", "full_attention"])", "Qwen3_5TextForSequenceClassification");
  EXPECT_EQ(load(text), "");
  EXPECT_THAT(load(tiny_config()), HasSubstr("mtp.fc.weight"));
}

TEST(Families, FreshNormsThatAddOneStartAtZero) {
  const DecoderConfig config = parse_model_config(
      config_text("Gemma2ForSequenceClassification", "gemma2", R"("head_dim": 8)"), "c");
  const DecoderWeights weights = random_weights(config, 7);
  EXPECT_TRUE(test::equal(weights.final_norm_D, test::filled({32}, 0.0F)));
  EXPECT_TRUE(test::equal(weights.blocks.at(0).mlp_out_norm_D, test::filled({32}, 0.0F)));
}

TEST(Families, FewerLayersKeepTheirKinds) {
  const testing::TempFolder folder;
  DecoderWeights weights = testing_support::write_tiny_model(
      folder.path() / "source", config_text("Qwen2ForSequenceClassification", "qwen2",
                                            R"("use_sliding_window": true, "sliding_window": 8,
                                        "layer_types": ["sliding_attention", "full_attention"])"));
  DecoderConfig config = load_model_config(folder.path() / "source");
  weights.blocks.resize(1);
  config.num_layers = 1;
  write_model_files(folder.path() / "output", resolve_model_source(folder.path() / "source", {}),
                    weights, config, {.dtype = DType::kFloat32});
  EXPECT_THAT(load_model_config(folder.path() / "output").windows, ElementsAre(8));
}

}  // namespace
}  // namespace charm::engine
