// Which modules an adapter changes, in peft's rules, and what is refused.

#include "charm/engine/lora.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_source.h"
#include "charm/engine/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using charm::testing::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

class LoraConfigTest : public ::testing::Test {
 protected:
  LoraConfig read(const std::string& more) {
    auto config = nlohmann::json::parse(R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4})");
    config.update(nlohmann::json::parse("{" + more + "}"));
    folder_.file("adapter_config.json", config.dump());
    return LoraConfig(folder_.path());
  }

  /// Of q_proj, up_proj of layers 0 and 1, score and embed_tokens: those that are targeted.
  std::string targeted(const std::string& more) {
    const LoraConfig config = read(more);
    std::string found;
    for (const auto& [letter, module] : {std::pair{'q', "model.layers.0.self_attn.q_proj"},
                                         {'Q', "model.layers.1.self_attn.q_proj"},
                                         {'u', "model.layers.0.mlp.up_proj"},
                                         {'U', "model.layers.1.mlp.up_proj"},
                                         {'s', "score"},
                                         {'e', "model.embed_tokens"}}) {
      if (config.targets(module)) found += letter;
    }
    return found;
  }

  TempFolder folder_;
};

// Each was tried with peft 0.21.2.
TEST_F(LoraConfigTest, TargetsAsPeft) {
  EXPECT_EQ(targeted(R"("target_modules": ["q_proj"])"), "qQ");
  EXPECT_EQ(targeted(R"("target_modules": ["proj"])"), "") << "whole parts of a name only";
  EXPECT_EQ(targeted(R"("target_modules": ["mlp.up_proj", "embed_tokens"])"), "uUe");
  EXPECT_EQ(targeted(R"("target_modules": ".*_proj")"), "qQuU");
  EXPECT_EQ(targeted(R"("target_modules": "q_proj")"), "") << "a pattern fits the whole name";
  EXPECT_EQ(targeted(R"("target_modules": "(?!.*mlp).*\\.(0|7)\\..*")"), "q");
  EXPECT_EQ(targeted(R"("target_modules": "all-linear")"), "qQuUs");
  EXPECT_EQ(targeted(R"("target_modules": "All-Linear", "task_type": "SEQ_CLS")"), "qQuU");
  const std::string both = R"("target_modules": ["q_proj", "up_proj"], )";
  EXPECT_EQ(targeted(both + R"("layers_to_transform": 1)"), "QU");
  EXPECT_EQ(targeted(both + R"("layers_to_transform": [0, 5])"), "qu");
  EXPECT_EQ(targeted(both + R"("layers_to_transform": [0], "layers_pattern": "layers")"), "qu");
  EXPECT_EQ(targeted(both + R"("layers_to_transform": [0], "layers_pattern": ["h", "layers"])"),
            "qu");
  EXPECT_EQ(targeted(both + R"("layers_to_transform": [0], "layers_pattern": "h")"), "");
  EXPECT_EQ(targeted(both + R"("layers_to_transform": [])"), "qQuU");
  EXPECT_EQ(targeted(both + R"("exclude_modules": ["layers.1.mlp.up_proj", "q"])"), "qQu");
  EXPECT_EQ(targeted(both + R"("exclude_modules": ".*\\.1\\..*")"), "qu");
  EXPECT_EQ(targeted(both + R"("modules_to_save": ["mlp"])"), "qQ");
  EXPECT_EQ(targeted(R"("target_parameters": ["experts.down_proj"])"), "");
  EXPECT_EQ(targeted(R"("target_modules": null)"), "qQuUse") << "told by a note";
  EXPECT_ERROR(kInput, "layers_to_transform beside target_modules \".*\"",
               read(R"("target_modules": ".*", "layers_to_transform": [1])"));
  EXPECT_ERROR(kInput, "'(?i)Q.*' is no regular expression",
               read(R"("target_modules": "(?i)Q.*")"));
  EXPECT_ERROR(kInput, "target_modules is [1]", read(R"("target_modules": [1])"));
  EXPECT_ERROR(kInput, "layers_to_transform is", read(R"("layers_to_transform": ["1"])"));
}

TEST_F(LoraConfigTest, RanksAndScalesByPatterns) {
  const LoraConfig config = read(
      R"("rank_pattern": {".*\\.1\\..*": 1, "up_proj": 8}, "alpha_pattern": {"^model.layers.0.mlp.up_proj": 24})");
  EXPECT_EQ(config.rank_of("model.layers.0.self_attn.q_proj"), 2);
  EXPECT_EQ(config.rank_of("model.layers.0.mlp.up_proj"), 8);
  EXPECT_EQ(config.rank_of("model.layers.1.mlp.up_proj"), 1) << "the first that fits";
  EXPECT_EQ(config.rank_of("model.layers.0.mlp.xup_proj"), 2) << "from a dot on";
  EXPECT_EQ(config.scale_of("model.layers.0.mlp.up_proj"), 3.0);
  EXPECT_EQ(config.scale_of("model.layers.1.mlp.up_proj"), 4.0);
  EXPECT_EQ(read(R"("r": 4, "use_rslora": true)").scale_of("x"), 2.0);
}

TEST_F(LoraConfigTest, WhatHasNoEffectIsTold) {
  EXPECT_THAT(
      read(R"("target_modules": ["q_proj"], "lora_dropout": 0.1, "eva_config": {"rho": 2.0})")
          .notes(),
      IsEmpty());
  EXPECT_THAT(
      read(R"("target_modules": ["q_proj"], "fan_in_fan_out": true, "use_new_lora": true)").notes(),
      ElementsAre(HasSubstr("fan_in_fan_out"), HasSubstr("use_new_lora")));
  EXPECT_THAT(read("").notes(), ElementsAre(HasSubstr("no target_modules")));
}

TEST_F(LoraConfigTest, RowsOfEmbeddings) {
  EXPECT_THAT(read(R"("trainable_token_indices": [3, 7])").token_rows("model.embed_tokens"),
              Optional(ElementsAre(3, 7)));
  const LoraConfig config =
      read(R"("trainable_token_indices": {"embed_tokens": [1], "lm_head": [2]})");
  EXPECT_THAT(config.token_rows("lm_head"), Optional(ElementsAre(2)));
  EXPECT_EQ(config.token_rows("model.norm"), std::nullopt);
  EXPECT_ERROR(kInput, "expected token ids", read(R"("trainable_token_indices": [-1])"));
}

/// A tiny base and an adapter of it whose tensors a test gives.
class LoraAdapterTest : public ::testing::Test {
 protected:
  using Tensors = std::vector<std::pair<std::string, Tensor>>;

  void write(const std::string& more, const Tensors& tensors,
             const std::string& base_config = testing_support::tiny_config()) {
    weights_ = testing_support::write_tiny_model(folder_ / "base", base_config);
    auto config = nlohmann::json::parse(
        R"({"peft_type": "LORA", "base_model_name_or_path": "../base", "r": 2, "lora_alpha": 4})");
    config.update(nlohmann::json::parse("{" + more + "}"));
    folder_.file("adapter/adapter_config.json", config.dump());
    Tensors stored;
    for (const auto& [name, value] : tensors)
      stored.emplace_back("base_model.model." + name, value);
    write_safetensors(folder_ / "adapter" / "adapter_model.safetensors", stored);
  }

  DecoderWeights load() const {
    const ModelSource source = resolve_model_source(folder_ / "adapter", {});
    return load_weights(source, load_model_config(source), {.dtype = DType::kFloat32});
  }
  StoredModel stored() const {
    return describe_stored(resolve_model_source(folder_ / "adapter", {}));
  }

  /// Factors of a module of layer 0.
  static Tensors factors(const std::string& module, std::int64_t outputs, std::int64_t inputs) {
    const std::string path = "model.layers.0." + module;
    return {{path + ".lora_A.weight", test::filled({2, inputs}, 0.5F)},
            {path + ".lora_B.weight", test::filled({outputs, 2}, 0.25F)}};
  }

  static Tensors joined(Tensors a, const Tensors& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  TempFolder folder_;
  DecoderWeights weights_;
};

TEST_F(LoraAdapterTest, FactorsThatAreNotTargetedAreLeftOutAndTold) {
  write(R"("target_modules": ["up_proj", "v_proj"])",
        joined(factors("self_attn.q_proj", 32, 32), factors("mlp.up_proj", 40, 32)));
  const DecoderWeights loaded = load();
  EXPECT_TRUE(test::equal(loaded.blocks[0].q_HED, weights_.blocks[0].q_HED));
  EXPECT_FALSE(test::equal(loaded.blocks[0].up_FD, weights_.blocks[0].up_FD));
  EXPECT_THAT(stored().warnings, ElementsAre(AllOf(HasSubstr("targets 3 modules without factors"),
                                                   HasSubstr("model.layers.0.self_attn.v_proj")),
                                             AllOf(HasSubstr("leaves out 1 of"),
                                                   HasSubstr("model.layers.0.self_attn.q_proj"))));
}

TEST_F(LoraAdapterTest, AnAdapterThatTargetsNoneOfItsModulesIsRefused) {
  write(R"("target_modules": "q_proj")", factors("self_attn.q_proj", 32, 32));
  EXPECT_ERROR(kInput, "targets none of the modules", load());
}

TEST_F(LoraAdapterTest, RowsReplaceThoseOfTheEmbedding) {
  const Tensor rows = test::filled({2, 32}, 3.0F);
  const Tensors tensors =
      joined(factors("mlp.up_proj", 40, 32),
             {{"model.embed_tokens.token_adapter.trainable_tokens_delta", rows}});
  write(R"("target_modules": ["up_proj"], "trainable_token_indices": [5, 9])", tensors);
  const Tensor embed_VD = load().embed_VD;
  EXPECT_TRUE(test::equal(embed_VD.narrow(5, 1), rows.narrow(0, 1)));
  EXPECT_TRUE(test::equal(embed_VD.narrow(9, 1), rows.narrow(1, 1)));
  EXPECT_TRUE(test::equal(embed_VD.narrow(6, 3), weights_.embed_VD.narrow(6, 3)));
  write(R"("trainable_token_indices": [5, 48])", tensors);
  EXPECT_ERROR(kInput, "replaces rows up to 48", load());
  write(R"("trainable_token_indices": [5])", tensors);
  EXPECT_ERROR(kInput, "lists 1 trainable_token_indices", load());
  write("", tensors);
  EXPECT_ERROR(kInput, "no trainable_token_indices of it", load());
  write(R"("trainable_token_indices": [5])", factors("mlp.up_proj", 40, 32));
  EXPECT_ERROR(kInput, "has no tensor of model.embed_tokens.weight", load());
}

TEST_F(LoraAdapterTest, ModulesThatWereNotSavedAreRefused) {
  for (const char* setting : {R"("modules_to_save": ["score"])", R"("task_type": "SEQ_CLS")"}) {
    write(setting, factors("mlp.up_proj", 40, 32));
    EXPECT_ERROR(kInput, "has no tensor of score.weight", load());
  }
  write(R"("task_type": "SEQ_CLS")",
        joined(factors("mlp.up_proj", 40, 32), {{"score.weight", test::filled({1, 32}, 2.0F)}}));
  EXPECT_TRUE(test::equal(load().head[0].weight_OI, test::filled({1, 32}, 2.0F)));
}

TEST_F(LoraAdapterTest, BiasesOfFactorsAreAddedToTheBasesOrRefused) {
  const std::string bias = R"("attention_bias": true)";
  const Tensors with_bias =
      joined(factors("self_attn.q_proj", 32, 32),
             {{"model.layers.0.self_attn.q_proj.lora_B.bias", test::filled({32}, 0.5F)}});
  write(R"("lora_bias": true)", with_bias, testing_support::tiny_config(bias));
  EXPECT_TRUE(test::equal(load().blocks[0].q_bias, test::filled({32}, 1.0F)));  // 0 + 4 / 2 * 0.5
  write(R"("lora_bias": true)", with_bias);
  EXPECT_ERROR(kInput, "added to a bias of the base's module", load());
  write("", with_bias, testing_support::tiny_config(bias));
  EXPECT_ERROR(kInput, "says no lora_bias", load());
}

TEST_F(LoraAdapterTest, TokensThatWereAddedWidenTheVocabulary) {
  write(R"("modules_to_save": ["embed_tokens"])",
        joined(factors("mlp.up_proj", 40, 32),
               {{"model.embed_tokens.weight", test::filled({50, 32}, 0.5F)},
                {"model.embed_tokens.original_module.weight", test::filled({50, 32}, 1.0F)}}));
  EXPECT_EQ(load_model_config(resolve_model_source(folder_ / "adapter", {})).vocab_size, 50);
  EXPECT_EQ(load().embed_VD.rows(), 50);
}

TEST_F(LoraAdapterTest, TiedEmbeddingsAreRefusedWhereTheHeadIsALogit) {
  const std::string config = testing_support::tiny_config(
      R"("architectures": ["LlamaForCausalLM"], "tie_word_embeddings": true)");
  const auto load_logit = [&] {
    const ModelSource source = resolve_model_source(folder_ / "adapter", {.head = "lm-logit:7"});
    return load_weights(source, load_model_config(source), {.dtype = DType::kFloat32});
  };
  const Tensor embedding = test::filled({48, 32}, 0.5F), head = test::filled({48, 32}, 2.0F);
  write(R"("modules_to_save": ["embed_tokens"])", {{"model.embed_tokens.weight", embedding}},
        config);
  EXPECT_ERROR(kInput, "ties to lm_head.weight", load_logit());
  write(R"("modules_to_save": ["embed_tokens", "lm_head"])",
        {{"model.embed_tokens.weight", embedding}, {"lm_head.weight", head}}, config);
  EXPECT_TRUE(test::equal(load_logit().head[0].weight_OI, test::filled({1, 32}, 2.0F)));
}

/// Experts in one tensor, in files and in adapters.
class FusedExpertsTest : public LoraAdapterTest {
 protected:
  static std::string mixtral() {
    return testing_support::config_text(
        "MixtralForSequenceClassification", "mixtral",
        R"("num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 20)");
  }

  /// Replaces the tensors of layer 0's experts by fused ones.
  void fuse(std::int64_t num_experts = 3) const {
    const DecoderConfig config = load_model_config(folder_ / "base");
    DecoderWeights copy = weights_;
    Tensors tensors;
    for (const auto& [name, tensor] : named_weights(copy, config)) {
      if (name.find("layers.0.block_sparse_moe.") == std::string::npos)
        tensors.emplace_back(name, *tensor);
    }
    const BlockWeights& block = weights_.blocks[0];
    Tensor gate_up = Tensor::empty({num_experts, 40, 32}, DType::kFloat32);
    Tensor down = Tensor::empty({num_experts, 32, 20}, DType::kFloat32);
    for (std::int64_t e = 0; e < num_experts; ++e) {
      const ExpertWeights& expert = block.experts[static_cast<std::size_t>(e)];
      Tensor own = gate_up.narrow(e, 1).view({40, 32});
      own.narrow(0, 20).copy_from(expert.gate_FD);
      own.narrow(20, 20).copy_from(expert.up_FD);
      down.narrow(e, 1).view({32, 20}).copy_from(expert.down_DF);
    }
    const std::string mlp = "model.layers.0.mlp.";
    tensors.emplace_back(mlp + "gate.weight", block.router_XD);
    tensors.emplace_back(mlp + "experts.gate_up_proj", gate_up);
    tensors.emplace_back(mlp + "experts.down_proj", down);
    write_safetensors(folder_ / "base" / "model.safetensors", tensors);
  }

  void expect_base(const DecoderWeights& loaded) const {
    for (std::size_t e = 0; e < 3; ++e) {
      const ExpertWeights &found = loaded.blocks[0].experts[e],
                          &expected = weights_.blocks[0].experts[e];
      EXPECT_TRUE(test::equal(found.gate_FD, expected.gate_FD)) << e;
      EXPECT_TRUE(test::equal(found.up_FD, expected.up_FD)) << e;
      EXPECT_TRUE(test::equal(found.down_DF, expected.down_DF)) << e;
    }
    EXPECT_TRUE(test::equal(loaded.blocks[0].router_XD, weights_.blocks[0].router_XD));
  }

  DecoderWeights load_base() const {
    return load_weights(folder_ / "base", load_model_config(folder_ / "base"),
                        {.dtype = DType::kFloat32});
  }
};

TEST_F(FusedExpertsTest, AreReadAsTheirParts) {
  write("", factors("self_attn.q_proj", 32, 32), mixtral());
  fuse();
  expect_base(load_base());
  fuse(2);
  EXPECT_ERROR(kInput, "tensors of 2 experts, but config.json says 3", load_base());
}

TEST_F(FusedExpertsTest, AdaptersOfThemChangeEachExpert) {
  // A [X * r, inputs], B [outputs, r * X]: expert 1's are rows 2 and 3 of A, columns 1 and 4 of B.
  Tensor a = test::filled({6, 32}, 0.0F), b = test::filled({40, 6}, 0.0F);
  a.narrow(2, 1).copy_from(test::filled({1, 32}, 0.5F));
  for (std::int64_t row = 20; row < 40; ++row) b.mutable_data<float>()[row * 6 + 1] = 3.0F;
  const Tensors tensors = {{"model.layers.0.mlp.experts.base_layer.lora_A.weight", a},
                           {"model.layers.0.mlp.experts.base_layer.lora_B.weight", b}};
  const std::string targets = R"("target_parameters": ["experts.gate_up_proj"])";
  write(targets, tensors, mixtral());
  for (const bool fused : {false, true}) {
    if (fused) fuse();
    const DecoderWeights loaded = load();
    for (std::size_t e = 0; e < 3; ++e) {
      const ExpertWeights &found = loaded.blocks[0].experts[e],
                          &base = weights_.blocks[0].experts[e];
      EXPECT_TRUE(test::equal(found.gate_FD, base.gate_FD));
      EXPECT_TRUE(test::equal(found.down_DF, base.down_DF));
      for (std::int64_t i = 0; i < base.up_FD.numel(); ++i) {
        const float added = e == 1 ? 2.0F * 3.0F * 0.5F : 0.0F;
        EXPECT_FLOAT_EQ(found.up_FD.data<float>()[i], base.up_FD.data<float>()[i] + added);
      }
    }
  }
  write(R"("target_modules": ["q_proj"])", joined(tensors, factors("self_attn.q_proj", 32, 32)),
        mixtral());
  expect_base(load());
  EXPECT_THAT(stored().warnings.back(), HasSubstr("mlp.experts.gate_up_proj"));
  write(targets + R"(, "r": 3)", tensors, mixtral());  // two experts then
  EXPECT_ERROR(kInput, "of neither tensor of the base's experts", load());
}

}  // namespace
}  // namespace charm::engine
