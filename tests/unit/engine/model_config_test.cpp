#include "charm/engine/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::tiny_config;

std::string failure(const std::string& text) {
  try {
    parse_model_config(text, "m/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("m/config.json"));
    return error.what();
  }
  return "";
}
std::string failure_with(const std::string& extra) { return failure(tiny_config(extra)); }

TEST(ModelConfig, Transformers4Spelling) {
  const DecoderConfig c = parse_model_config(
      tiny_config(
          R"("rope_theta": 500000, "head_dim": null, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                     "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})"),
      "config.json");
  EXPECT_EQ(c.architecture, "LlamaForSequenceClassification");
  EXPECT_EQ(c.head, HeadKind::kLinear);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(c.rope.theta, 500000.0);
  EXPECT_EQ(c.rope.factor, 8.0);
  EXPECT_EQ(c.rope.original_max_position_embeddings, 8192);
  EXPECT_EQ(c.pad_token_id, 0);
  EXPECT_EQ(c.eos_token_ids, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(c.bos_token_id, 1);
  EXPECT_EQ(c.stored_dtype, "float32");
}

TEST(ModelConfig, Transformers5Spelling) {
  const DecoderConfig c = parse_model_config(
      tiny_config(
          R"("rope_theta": null, "torch_dtype": null, "dtype": "bfloat16", "head_dim": 16, "pad_token_id": null,
                     "eos_token_id": 2, "rope_parameters": {"rope_theta": 1234.5, "rope_type": "default"})"),
      "config.json");
  EXPECT_EQ(c.rope.theta, 1234.5);
  EXPECT_EQ(c.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.pad_token_id, -1);
  EXPECT_EQ(c.eos_token_ids, (std::vector<std::int32_t>{2}));
  EXPECT_EQ(c.stored_dtype, "bfloat16");
}

TEST(ModelConfig, OlderRopeSpellingsAndNull) {
  EXPECT_EQ(parse_model_config(tiny_config(R"("rope_scaling": null)"), "c").rope.kind,
            RopeKind::kDefault);
  const DecoderConfig c =
      parse_model_config(tiny_config(R"("rope_scaling": {"type": "linear", "factor": 4})"), "c");
  EXPECT_EQ(c.rope.kind, RopeKind::kLinear);
  EXPECT_EQ(c.rope.factor, 4.0);
}

TEST(ModelConfig, CausalLmHasNoHead) {
  const DecoderConfig c = parse_model_config(
      tiny_config(R"("architectures": ["LlamaForCausalLM"], "id2label": null)"), "c");
  EXPECT_EQ(c.head, HeadKind::kNone);
}

TEST(ModelConfig, RopeKindsItDoesNotKnow) {
  EXPECT_THAT(
      failure_with(R"("rope_scaling": {"rope_type": "proportional", "factor": 2.0})"),
      AllOf(HasSubstr("rope_scaling.rope_type"), HasSubstr("proportional"), HasSubstr("llama3")));
  EXPECT_THAT(failure_with(R"("rope_scaling": {"type": "linear", "factor": 0})"),
              HasSubstr("rope_scaling.factor is 0"));
  EXPECT_THAT(failure_with(R"("rope_scaling": {"type": "linear"})"),
              HasSubstr("rope_scaling.factor is missing"));
  EXPECT_THAT(failure_with(R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0})"),
              HasSubstr("low_freq_factor"));
  EXPECT_THAT(failure_with(R"("partial_rotary_factor": 0.5)"), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(failure_with(R"("rope_scaling": {"type": "dynamic", "factor": 0.5})"),
              HasSubstr("rope_scaling.factor"));
  EXPECT_THAT(
      failure_with(
          R"("rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 2})"),
      HasSubstr("beta_fast"));
  EXPECT_THAT(failure_with(R"("rope_scaling": {"type": "default", "mrope_section": [1, 2]})"),
              HasSubstr("rope_scaling.mrope_section"));
  EXPECT_THAT(
      failure_with(
          R"("rope_theta": null, "rope_parameters": {"full_attention": {"rope_type": "default"}})"),
      HasSubstr("rope_parameters.full_attention"));
}

TEST(ModelConfig, LongRopeHasAFactorForEachPairOfAHead) {
  const std::string factors = R"("short_factor": [1.0, 1.5, 2, 3], "long_factor": [2, 4, 8, 16])";
  const auto config = [&](const std::string& scaling, const std::string& outer = "") {
    return tiny_config(
        outer +
        R"("head_dim": 8, "max_position_embeddings": 64, "rope_scaling": {"type": "longrope", )" +
        scaling + "}");
  };
  const RopeConfig inner =
      parse_model_config(config(factors + R"(, "original_max_position_embeddings": 16)"), "c").rope;
  EXPECT_EQ(inner.kind, RopeKind::kLongRope);
  EXPECT_EQ(inner.original_max_position_embeddings, 16);
  EXPECT_THAT(inner.long_factor, ::testing::ElementsAre(2, 4, 8, 16));
  EXPECT_DOUBLE_EQ(inner.attention_factor, std::sqrt(1.0 + std::log(4.0) / std::log(16.0)));
  // Phi-3's top-level key takes precedence.
  const std::string outer = R"("original_max_position_embeddings": 32, )";
  EXPECT_EQ(parse_model_config(
                config(factors + R"(, "original_max_position_embeddings": 16)", outer), "c")
                .rope.original_max_position_embeddings,
            32);
  EXPECT_EQ(parse_model_config(config(factors + R"(, "attention_factor": 1.25)"), "c")
                .rope.attention_factor,
            1.25);
  const auto failure_of = [&](const std::string& scaling) {
    try {
      parse_model_config(config(scaling), "m/config.json");
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  EXPECT_THAT(failure_of(R"("short_factor": [1, 2], "long_factor": [1, 2])"),
              HasSubstr("expected 4 each, half of the rotated values of a head"));
  EXPECT_THAT(failure_of(R"("short_factor": [1, 1, 1, 1])"),
              HasSubstr("rope_scaling.long_factor is missing"));
  EXPECT_THAT(failure_of(R"("short_factor": [1, 1, 1, -1], "long_factor": [1, 2, 3, 4])"),
              HasSubstr("a list of positive numbers"));
  EXPECT_THAT(failure_of(factors + R"(, "original_max_position_embeddings": 1)"),
              HasSubstr("a number above 1"));
}

TEST(ModelConfig, ForeignSettingsAreNamed) {
  EXPECT_THAT(failure_with(R"("sliding_window": 4096)"), HasSubstr("sliding_window is 4096"));
  EXPECT_EQ(failure_with(R"("sliding_window": 4096, "use_sliding_window": false)"), "");
  EXPECT_EQ(failure_with(R"("sliding_window": null)"), "");
  EXPECT_THAT(failure_with(R"("attn_logit_softcapping": 50.0)"),
              HasSubstr("attn_logit_softcapping"));
  EXPECT_THAT(failure_with(R"("num_local_experts": 8)"), HasSubstr("num_local_experts"));
  EXPECT_THAT(failure_with(R"("hidden_act": "gelu_10")"),
              AllOf(HasSubstr("gelu_10"), HasSubstr("quick_gelu, relu, relu2")));
}

TEST(ModelConfig, DtypesByPartOfTheModel) {
  const auto stored = [](const std::string& dtype) {
    return parse_model_config(tiny_config(R"("dtype": )" + dtype), "c").stored_dtype;
  };
  EXPECT_EQ(stored(R"({"": "bfloat16"})"), "bfloat16");
  EXPECT_EQ(stored(R"({"lm_head": "float32", "": "float16"})"), "float16");
  EXPECT_EQ(stored(R"({"lm_head": "float32"})"), "");
  EXPECT_EQ(stored("null"), "float32");  // torch_dtype's
  EXPECT_THAT(failure_with(R"("dtype": 16)"), HasSubstr("dtype is 16"));
}

TEST(ModelConfig, OnlyAFreshHeadNeedsAnInitializerRange) {
  for (const char* range : {"0", "0.0", "-1"}) {
    DecoderConfig config = parse_model_config(
        tiny_config(std::string(R"("initializer_range": )") + range), "m/config.json");
    DecoderWeights weights;
    EXPECT_ERROR(kInput, "initializer_range is", add_random_head(weights, config, 1));
  }
  EXPECT_EQ(parse_model_config(tiny_config(R"("initializer_range": null)"), "c").initializer_range,
            0.02);
  EXPECT_THAT(failure_with(R"("initializer_range": "small")"), HasSubstr("initializer_range"));
}

TEST(ModelConfig, ActivationsByTransformersNames) {
  const std::pair<const char*, Activation> kNames[] = {
      {"silu", Activation::kSilu},          {"swish", Activation::kSilu},
      {"gelu", Activation::kGelu},          {"gelu_python", Activation::kGelu},
      {"gelu_new", Activation::kGeluTanh},  {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh}, {"gelu_accurate", Activation::kGeluTanh},
      {"relu", Activation::kRelu},          {"gelu_python_tanh", Activation::kGeluTanh},
      {"relu2", Activation::kReluSquared},  {"quick_gelu", Activation::kQuickGelu}};
  for (const auto& [name, activation] : kNames) {
    const std::string setting = std::string(R"("hidden_act": ")") + name + '"';
    EXPECT_EQ(parse_model_config(tiny_config(setting), "c").activation, activation) << name;
  }
}

TEST(ModelConfig, ArchitecturesItDoesNotKnow) {
  EXPECT_THAT(failure_with(R"("architectures": ["MambaForCausalLM"])"),
              AllOf(HasSubstr("'MambaForCausalLM'"), HasSubstr("LlamaForSequenceClassification"),
                    HasSubstr("LlamaForCausalLM")));
  EXPECT_THAT(failure_with(R"("architectures": [])"), HasSubstr("architectures"));
  EXPECT_THAT(failure_with(R"("architectures": null)"), HasSubstr("null"));
  EXPECT_THAT(failure_with(R"("model_type": "mistral")"), HasSubstr("model_type"));
}

TEST(ModelConfig, NullIsNotMissing) {
  for (const char* key : {"hidden_size", "vocab_size", "num_hidden_layers", "intermediate_size",
                          "max_position_embeddings", "num_attention_heads"}) {
    EXPECT_THAT(failure_with(fmt::format("\"{}\": null", key)),
                HasSubstr(fmt::format("{} is null, expected an integer", key)));
  }
  EXPECT_THAT(failure_with(R"("rope_scaling": {"rope_type": "linear", "factor": null})"),
              HasSubstr("rope_scaling.factor is null, expected"));
  EXPECT_THAT(failure(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})"),
              HasSubstr("vocab_size is missing, expected an integer"));
}

// transformers 5.17: "Padding_idx must be within num_embeddings", and no such check of EOS and BOS.
TEST(ModelConfig, APadTokenOutsideOfTheVocabularyIsRefused) {
  EXPECT_THAT(failure_with(R"("pad_token_id": 1000000000)"),
              AllOf(HasSubstr("pad_token_id is 1000000000, expected less than vocab_size ("),
                    HasSubstr("or null")));
  EXPECT_THAT(failure_with(R"("vocab_size": 40, "pad_token_id": 40)"),
              HasSubstr("pad_token_id is 40, expected less than vocab_size (40)"));
  EXPECT_EQ(failure_with(R"("vocab_size": 40, "pad_token_id": 39)"), "");
  EXPECT_EQ(failure_with(R"("pad_token_id": -1)"), "");
  EXPECT_EQ(failure_with(R"("pad_token_id": null)"), "");
}

TEST(ModelConfig, RemoteCodeAndQuantisationAreRefused) {
  EXPECT_THAT(failure_with(R"("auto_map": {"AutoModel": "x.Y"})"), HasSubstr("auto_map"));
  EXPECT_EQ(failure_with(R"("auto_map": {})"), "");
  EXPECT_THAT(failure_with(R"("quantization_config": {"bits": 4})"),
              HasSubstr("quantization_config"));
}

// As transformers 5.17 and 5.23 read them.
TEST(ModelConfig, WhichThetaAndWhichRopeSettingsCount) {
  const auto rope = [](const std::string& extra) {
    return parse_model_config(tiny_config(R"("rope_theta": 5e4, )" + extra), "c").rope;
  };
  const RopeConfig inner =
      rope(R"("rope_scaling": {"rope_type": "linear", "factor": 2, "rope_theta": 7e5})");
  EXPECT_EQ(inner.theta, 7e5);
  EXPECT_EQ(inner.factor, 2.0);
  EXPECT_EQ(rope(R"("rope_scaling": {"rope_type": "linear", "factor": 2})").theta, 5e4);
  EXPECT_EQ(rope(R"("rope_parameters": {"rope_theta": 7e5})").theta, 7e5);
  EXPECT_EQ(rope(R"("rope_parameters": {"rope_type": "default"})").theta, 5e4);
  const std::string parameters =
      R"("rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 7e5}, )";
  const RopeConfig both =
      rope(parameters + R"("rope_scaling": {"rope_type": "linear", "factor": 4})");
  EXPECT_EQ(both.factor, 4.0);
  EXPECT_EQ(both.theta, 5e4);
  EXPECT_EQ(rope(parameters + R"("rope_scaling": null)").factor, 2.0);
}

TEST(ModelConfig, OneLabelOnly) {
  EXPECT_THAT(failure_with(R"("id2label": {"0": "A", "1": "B", "2": "C"})"), HasSubstr("id2label"));
  EXPECT_THAT(failure_with(R"("num_labels": 3)"), HasSubstr("num_labels is 3, expected 1"));
  EXPECT_THAT(failure_with(R"("id2label": null)"), HasSubstr("2 labels"));
  EXPECT_EQ(failure_with(R"("id2label": null, "num_labels": 1)"), "");
  // transformers 5: num_labels beats id2label.
  EXPECT_EQ(failure_with(R"("id2label": {"0": "A", "1": "B"}, "num_labels": 1)"), "");
  EXPECT_THAT(failure_with(R"("id2label": {"0": "A"}, "num_labels": 2)"), HasSubstr("num_labels"));
}

TEST(ModelConfig, BadValues) {
  EXPECT_THAT(failure("{"), HasSubstr("not JSON"));
  EXPECT_THAT(failure("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(failure_with(R"("num_hidden_layers": 2000000000)"),
              HasSubstr("num_hidden_layers is 2000000000, expected an integer in 1 .. 4096"));
  EXPECT_THAT(failure_with("\"num_labels\": " + std::string(1000, '[') + std::string(1000, ']')),
              HasSubstr("brackets nest deeper"));
  EXPECT_THAT(failure_with(R"("hidden_size": "32")"),
              HasSubstr("hidden_size is \"32\", expected an integer"));
  EXPECT_THAT(failure_with(R"("hidden_size": 99999999999999)"), HasSubstr("hidden_size"));
  EXPECT_THAT(failure_with(R"("num_hidden_layers": 0)"), HasSubstr("num_hidden_layers is 0"));
  EXPECT_THAT(failure_with(R"("num_key_value_heads": 3)"), HasSubstr("divisor"));
  EXPECT_THAT(failure_with(R"("head_dim": 7)"), HasSubstr("even"));
  EXPECT_THAT(failure_with(R"("num_attention_heads": 5, "num_key_value_heads": 5)"),
              HasSubstr("head_dim"));
  EXPECT_THAT(failure_with(R"("rms_norm_eps": -1)"), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(failure_with(R"("mlp_bias": 1)"), HasSubstr("true or false"));
  EXPECT_THAT(failure_with(R"("eos_token_id": "x")"), HasSubstr("eos_token_id"));
  EXPECT_THAT(failure_with(R"("pad_token_id": [1, 2])"), HasSubstr("pad_token_id"));
}

TEST(ModelConfig, FolderWithoutConfig) {
  const testing::TempFolder folder;
  try {
    load_model_config(folder.path());
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), HasSubstr("config.json"));
  }
}

}  // namespace
}  // namespace charm::engine
