#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/heads.h"
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

DecoderConfig llama(const std::string& extra) {
  return read("LlamaForSequenceClassification", "llama", extra);
}
DecoderConfig mistral(const std::string& extra) {
  return read("MistralForSequenceClassification", "mistral", extra);
}
DecoderConfig qwen2(const std::string& extra) {
  return read("Qwen2ForSequenceClassification", "qwen2", extra);
}
DecoderConfig gemma2(const std::string& extra) {
  return read("Gemma2ForSequenceClassification", "gemma2", extra);
}
DecoderConfig gemma3(const std::string& extra) {
  return read("Gemma3TextForSequenceClassification", "gemma3_text", extra);
}
std::string bad_mistral(const std::string& extra) {
  return failure("MistralForSequenceClassification", "mistral", extra);
}
std::string bad_qwen2(const std::string& extra) {
  return failure("Qwen2ForSequenceClassification", "qwen2", extra);
}
std::string bad_gemma2(const std::string& extra) {
  return failure("Gemma2ForSequenceClassification", "gemma2", extra);
}
std::string bad_gemma3(const std::string& extra) {
  return failure("Gemma3TextForSequenceClassification", "gemma3_text", extra);
}

TEST(Rope, YarnAndDynamic) {
  const DecoderConfig yarn = llama(
      R"("rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})");
  EXPECT_EQ(yarn.rope.kind, RopeKind::kYarn);
  EXPECT_EQ(yarn.rope.original_max_position_embeddings, 32);
  EXPECT_DOUBLE_EQ(yarn.rope.attention_factor, 0.1 * std::log(4.0) + 1.0);
  EXPECT_EQ(yarn.max_positions, 128);
  const DecoderConfig given =
      llama(R"("rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": 1.5})");
  EXPECT_EQ(given.rope.attention_factor, 1.5);
  EXPECT_EQ(given.rope.original_max_position_embeddings, 128);
  const DecoderConfig dynamic = llama(R"("rope_scaling": {"type": "dynamic", "factor": 2.0})");
  EXPECT_EQ(dynamic.rope.kind, RopeKind::kDynamic);
  EXPECT_EQ(dynamic.rope.original_max_position_embeddings, 128);
  EXPECT_EQ(dynamic.max_positions, 256);  // the extended context length
}

TEST(Rope, TheContextLengthIsTheExtendedOne) {
  const auto positions = [](const std::string& rope) {
    return llama(R"("rope_scaling": )" + rope).max_positions;
  };
  EXPECT_EQ(llama("").max_positions, 128);
  EXPECT_EQ(positions(R"({"rope_type": "linear", "factor": 4.0})"), 512);
  EXPECT_EQ(positions(R"({"type": "yarn", "factor": 4.0,
                          "original_max_position_embeddings": 128})"),
            512);
  EXPECT_EQ(positions(R"({"type": "yarn", "factor": 4.0})"), 512);
  EXPECT_EQ(positions(R"({"type": "yarn", "factor": 2.0,
                          "original_max_position_embeddings": 32})"),
            128);
  EXPECT_EQ(positions(R"({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                          "high_freq_factor": 4.0, "original_max_position_embeddings": 16})"),
            128);
  EXPECT_EQ(gemma3(R"("rope_scaling": {"rope_type": "linear", "factor": 8.0})").max_positions, 128);
}

TEST(Mistral, WindowAbsentNullAndGiven) {
  EXPECT_THAT(mistral("").windows, ElementsAre(4096, 4096));
  EXPECT_THAT(mistral(R"("sliding_window": null)").windows, IsEmpty());
  EXPECT_THAT(mistral(R"("sliding_window": 6)").windows, ElementsAre(6, 6));
  EXPECT_THAT(bad_mistral(R"("sliding_window": 0)"), HasSubstr("sliding_window is 0"));
  EXPECT_THAT(bad_mistral(R"("layer_types": ["full_attention", "full_attention"])"),
              HasSubstr("layer_types"));
  EXPECT_THAT(bad_mistral(R"("attention_bias": true)"), HasSubstr("attention_bias"));
  EXPECT_THAT(bad_mistral(R"("num_key_value_heads": null)"),
              HasSubstr("num_key_value_heads is null"));
}

TEST(Qwen2, WindowsOfTheUpperLayersOrByName) {
  EXPECT_THAT(
      qwen2(R"("use_sliding_window": false, "sliding_window": 131072, "max_window_layers": 1)")
          .windows,
      IsEmpty());
  EXPECT_THAT(
      qwen2(R"("use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1)").windows,
      ElementsAre(0, 8));
  EXPECT_THAT(
      qwen2(R"("use_sliding_window": true, "sliding_window": 8, "max_window_layers": 28)").windows,
      ElementsAre(0, 0));
  EXPECT_THAT(
      qwen2(
          R"("use_sliding_window": true, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"])")
          .windows,
      ElementsAre(8, 0));
  EXPECT_THAT(bad_qwen2(R"("layer_types": ["sliding_attention", "full_attention"])"),
              HasSubstr("sliding_window is unset"));
  EXPECT_THAT(bad_qwen2(R"("layer_types": ["full_attention"])"),
              HasSubstr("one entry for each of the 2 layers"));
  EXPECT_THAT(bad_qwen2(R"("layer_types": ["linear_attention", "full_attention"])"),
              HasSubstr("linear_attention"));
  EXPECT_THAT(bad_qwen2(R"("query_pre_attn_scalar": 256)"),
              HasSubstr("a qwen2 model has no such setting"));
  EXPECT_THAT(bad_qwen2(R"("num_experts": 8)"), HasSubstr("num_experts"));
}

TEST(Qwen3, HeadWidthIsItsOwn) {
  EXPECT_EQ(read("Qwen3ForSequenceClassification", "qwen3").head_dim, 128);
  EXPECT_EQ(read("Qwen3ForSequenceClassification", "qwen3", R"("head_dim": 8)").head_dim, 8);
  EXPECT_THAT(failure("Qwen3ForSequenceClassification", "qwen3", R"("mlp_bias": true)"),
              HasSubstr("mlp_bias"));
}

TEST(Gemma, GeluIsWhatHiddenActSays) {
  const auto gemma = [](const std::string& extra) {
    return read("GemmaForSequenceClassification", "gemma", extra);
  };
  const auto bad = [](const std::string& extra) {
    return failure("GemmaForSequenceClassification", "gemma", extra);
  };
  const DecoderConfig usual =
      gemma(R"("hidden_act": "gelu_pytorch_tanh", "hidden_activation": null)");
  EXPECT_EQ(usual.activation, Activation::kGeluTanh);
  EXPECT_EQ(usual.head_dim, 256);
  EXPECT_EQ(usual.attention_scale, 0.0);
  EXPECT_DOUBLE_EQ(usual.embedding_scale, std::sqrt(32.0));
  EXPECT_TRUE(usual.norms_add_one);
  EXPECT_THAT(usual.windows, IsEmpty());
  EXPECT_EQ(gemma(R"("hidden_act": "gelu")").activation, Activation::kGelu);
  EXPECT_THAT(bad(R"("hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh")"),
              AllOf(HasSubstr("hidden_activation"), HasSubstr("trained with")));
  EXPECT_THAT(bad(R"("hidden_activation": "gelu")"), HasSubstr("trained with"));
  EXPECT_EQ(gemma(R"("hidden_act": "gelu_new", "hidden_activation": "gelu_fast")").activation,
            Activation::kGeluTanh);
  EXPECT_EQ(gemma(R"("hidden_act": "silu")").activation, Activation::kSilu);
  EXPECT_THAT(bad(R"("hidden_act": "mish")"), HasSubstr("hidden_act is"));
  EXPECT_THAT(bad(R"("hidden_act": "gelu", "query_pre_attn_scalar": 256)"),
              HasSubstr("query_pre_attn_scalar"));
  EXPECT_THAT(bad(R"("hidden_act": "gelu", "use_bidirectional_attention": true)"),
              HasSubstr("use_bidirectional_attention"));
}

TEST(Gemma2, DefaultsAndSettings) {
  const DecoderConfig usual = gemma2(R"("hidden_act": "gelu_pytorch_tanh")");
  EXPECT_EQ(usual.head_dim, 256);
  EXPECT_EQ(usual.attention_softcap, 50.0);
  EXPECT_EQ(usual.attention_scale, 1.0 / 16);
  EXPECT_DOUBLE_EQ(usual.embedding_scale, std::sqrt(32.0));
  EXPECT_THAT(usual.windows, ElementsAre(4096, 0));
  EXPECT_TRUE(usual.norms_add_one);
  EXPECT_EQ(usual.activation, Activation::kGeluTanh);
  const DecoderConfig given = gemma2(
      R"("attn_logit_softcapping": null, "query_pre_attn_scalar": 4, "final_logit_softcapping": 30.0, "sliding_window": 6)");
  EXPECT_EQ(given.attention_softcap, 0.0);
  EXPECT_EQ(given.attention_scale, 0.5);
  EXPECT_THAT(given.windows, ElementsAre(6, 0));
  EXPECT_EQ(gemma2(R"("hidden_activation": "gelu")").activation, Activation::kGelu);
  EXPECT_THAT(bad_gemma2(R"("hidden_activation": "tanh")"), HasSubstr("hidden_activation"));
  EXPECT_THAT(bad_gemma2(R"("sliding_window": null)"), HasSubstr("sliding_window"));
  EXPECT_THAT(bad_gemma2(R"("use_bidirectional_attention": true)"),
              HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(bad_gemma2(R"("attn_logit_softcapping": -1)"), HasSubstr("attn_logit_softcapping"));
}

TEST(Gemma3, RopePerKindOfLayerInBothSpellings) {
  const DecoderConfig v4 = gemma3(
      R"("rope_theta": null, "rope_local_base_freq": 100, "rope_scaling": {"rope_type": "linear", "factor": 8}, "sliding_window_pattern": 2)");
  EXPECT_THAT(v4.windows, ElementsAre(4096, 0));
  EXPECT_EQ(v4.rope.theta, 1e6);
  EXPECT_EQ(v4.rope.factor, 8.0);
  EXPECT_EQ(v4.local_rope->theta, 100.0);
  EXPECT_EQ(v4.local_rope->kind, RopeKind::kDefault);
  const DecoderConfig v5 = gemma3(
      R"("rope_theta": null, "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8,
      "rope_theta": 5000}, "sliding_attention": {"rope_type": "default", "rope_theta": 50}})");
  EXPECT_EQ(v5.rope.theta, 5000.0);
  EXPECT_EQ(v5.rope.kind, RopeKind::kLinear);
  EXPECT_EQ(v5.local_rope->theta, 50.0);
  EXPECT_THAT(bad_gemma3(R"("rope_parameters": {"rope_type": "default", "rope_theta": 50})"),
              HasSubstr("rope_parameters.rope_t"));
  EXPECT_THAT(bad_gemma3(R"("rope_scaling": {"type": "yarn", "factor": 2, "truncate": false})"),
              HasSubstr("does not read truncate"));
  EXPECT_THAT(bad_gemma3(R"("rope_scaling": {"type": "dynamic", "factor": 2})"),
              HasSubstr("dynamic"));
  EXPECT_THAT(bad_gemma3(R"("attn_logit_softcapping": 50.0)"), HasSubstr("attn_logit_softcapping"));
  EXPECT_THAT(bad_gemma3(R"("sliding_window": null)"), HasSubstr("sliding_window"));
}

TEST(Olmo, DefaultsOfItsConfigClasses) {
  const DecoderConfig usual =
      read("Olmo2ForSequenceClassification", "olmo2", R"("rms_norm_eps": null)");
  EXPECT_EQ(usual.rms_norm_eps, 1e-5);
  EXPECT_EQ(usual.rope.theta, 10000.0);
  EXPECT_THAT(usual.windows, IsEmpty());
  const auto bad2 = [](const std::string& extra) {
    return failure("Olmo2ForSequenceClassification", "olmo2", extra);
  };
  EXPECT_THAT(bad2(R"("clip_qkv": 8.0)"), HasSubstr("clip_qkv"));
  EXPECT_THAT(bad2(R"("hidden_act": "mish")"), HasSubstr("hidden_act is"));
  EXPECT_THAT(bad2(R"("sliding_window": 8)"), HasSubstr("sliding_window"));
  EXPECT_THAT(failure("OlmoForSequenceClassification", "olmo"),
              HasSubstr("Olmo2ForSequenceClassification"));
}

TEST(Olmo, ScalingOfGlobalLayersAlone) {
  const auto olmo3 = [](const std::string& extra) {
    return read("Olmo3ForSequenceClassification", "olmo3", R"("rope_theta": 500000)" + extra);
  };
  const DecoderConfig scaled = olmo3(
      R"(, "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32}, "sliding_window": 6,
      "layer_types": ["sliding_attention", "full_attention"])");
  EXPECT_THAT(scaled.windows, ElementsAre(6, 0));
  EXPECT_EQ(scaled.rope.kind, RopeKind::kYarn);
  EXPECT_EQ(scaled.local_rope->kind, RopeKind::kDefault);
  EXPECT_EQ(scaled.local_rope->theta, 500000.0);
  EXPECT_THAT(olmo3("").windows, ElementsAre(4096, 4096));
  const auto bad3 = [](const std::string& extra) {
    return failure("Olmo3ForSequenceClassification", "olmo3", extra);
  };
  EXPECT_THAT(bad3(R"("rope_theta": 10000)"),
              AllOf(HasSubstr("rope_theta is 10000"), HasSubstr("versions of transformers")));
  EXPECT_THAT(bad3(R"("rope_theta": 500000, "sliding_window": null)"), HasSubstr("sliding_window"));
  EXPECT_THAT(
      bad3(R"("rope_theta": null, "rope_parameters": {"rope_type": "default", "rope_theta": 5})"),
      HasSubstr("rope_parameters.rope_t"));
}

TEST(Mixtral, ExpertsOfEveryLayer) {
  const auto mixtral = [](const std::string& extra) {
    return read("MixtralForSequenceClassification", "mixtral",
                R"("num_local_experts": 8, "num_experts_per_tok": 2)" + extra);
  };
  const auto bad = [](const std::string& experts) {
    return failure("MixtralForSequenceClassification", "mixtral", experts);
  };
  const DecoderConfig usual = mixtral(R"(, "rms_norm_eps": null, "rope_theta": null)");
  EXPECT_EQ(usual.experts->routing, (kernels::ExpertRouting{8, 2, true}));
  EXPECT_EQ(usual.experts->width, 40);
  EXPECT_TRUE(has_experts(usual, 0) && has_experts(usual, 1));
  EXPECT_EQ(usual.rms_norm_eps, 1e-5);
  EXPECT_EQ(usual.rope.theta, 1e6);
  EXPECT_THAT(usual.windows, IsEmpty());
  EXPECT_THAT(mixtral(R"(, "sliding_window": 6)").windows, ElementsAre(6, 6));
  EXPECT_THAT(bad(R"("num_local_experts": 8, "num_experts_per_tok": 9)"),
              AllOf(HasSubstr("num_experts_per_tok is 9"), HasSubstr("1 .. 8")));
  EXPECT_THAT(bad(R"("num_local_experts": 0, "num_experts_per_tok": 1)"),
              HasSubstr("num_local_experts is 0"));
  EXPECT_THAT(bad(R"("num_experts_per_tok": 2)"), HasSubstr("num_local_experts is missing"));
  const std::string experts = R"("num_local_experts": 8, "num_experts_per_tok": 2, )";
  EXPECT_THAT(bad(experts + R"("hidden_act": "mish")"), HasSubstr("hidden_act is \"mish\""));
  EXPECT_THAT(bad(experts + R"("norm_topk_prob": false)"), HasSubstr("norm_topk_prob"));
  EXPECT_THAT(bad(experts + R"("router_jitter_noise": 0.01)"), HasSubstr("router_jitter_noise"));
  EXPECT_THAT(bad(experts + R"("n_shared_experts": 1)"), HasSubstr("n_shared_experts"));
  EXPECT_THAT(bad(experts + R"("num_experts": 8)"), HasSubstr("num_experts"));
}

TEST(Qwen3Moe, ExpertsOfSomeLayersAndTheirWeights) {
  const std::string experts =
      R"("num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 12)";
  const auto moe = [&](const std::string& extra) {
    return read("Qwen3MoeForSequenceClassification", "qwen3_moe", experts + extra);
  };
  const auto bad = [&](const std::string& extra) {
    return failure("Qwen3MoeForSequenceClassification", "qwen3_moe", experts + extra);
  };
  const DecoderConfig usual = moe("");
  EXPECT_EQ(usual.experts->routing, (kernels::ExpertRouting{6, 2, false}));
  EXPECT_EQ(usual.experts->width, 12);
  EXPECT_THAT(usual.experts->dense_layers, IsEmpty());
  EXPECT_TRUE(moe(R"(, "norm_topk_prob": true)").experts->routing.normalise);
  EXPECT_THAT(moe(R"(, "mlp_only_layers": [0])").experts->dense_layers, ElementsAre(0));
  EXPECT_THAT(moe(R"(, "decoder_sparse_step": 2)").experts->dense_layers, ElementsAre(0));
  EXPECT_THAT(moe(R"(, "decoder_sparse_step": 3)").experts->dense_layers, ElementsAre(0, 1));
  EXPECT_EQ(moe(R"(, "num_experts": null, "num_local_experts": 7)").experts->routing.num_experts,
            7);
  EXPECT_THAT(
      moe(R"(, "use_sliding_window": true, "sliding_window": 6, "max_window_layers": 1)").windows,
      ElementsAre(6, 6));
  EXPECT_THAT(bad(R"(, "num_local_experts": 7)"),
              AllOf(HasSubstr("num_experts is 6"), HasSubstr("7")));
  EXPECT_THAT(bad(R"(, "norm_topk_prob": 1)"), HasSubstr("norm_topk_prob is 1"));
  EXPECT_THAT(bad(R"(, "decoder_sparse_step": 0)"), HasSubstr("decoder_sparse_step is 0"));
  EXPECT_THAT(bad(R"(, "mlp_only_layers": [-1])"), HasSubstr("mlp_only_layers"));
  EXPECT_THAT(bad(R"(, "mlp_only_layers": 1)"), HasSubstr("mlp_only_layers"));
  EXPECT_THAT(bad(R"(, "num_experts_per_tok": 7)"), HasSubstr("num_experts_per_tok is 7"));
  EXPECT_THAT(bad(R"(, "moe_intermediate_size": null)"),
              HasSubstr("moe_intermediate_size is null"));
  EXPECT_THAT(bad(R"(, "shared_expert_intermediate_size": 8)"),
              HasSubstr("shared_expert_intermediate_size"));
  EXPECT_THAT(bad(R"(, "hidden_act": "tanh")"), HasSubstr("hidden_act is"));
  EXPECT_THAT(failure("Qwen3ForSequenceClassification", "qwen3", R"("num_experts_per_tok": 2)"),
              HasSubstr("num_experts_per_tok"));
}

TEST(Phi3, LongRopeUnderItsNames) {
  const std::string factors = R"("short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2])";
  const auto scaled = [&](const std::string& type) {
    return R"("original_max_position_embeddings": 32, "rope_scaling": {"type": ")" + type + "\", " +
           factors + "}";
  };
  for (const std::string type : {"longrope", "su", "yarn"}) {
    const DecoderConfig config = read("Phi3ForSequenceClassification", "phi3", scaled(type));
    EXPECT_EQ(config.rope.kind, RopeKind::kLongRope);
    EXPECT_EQ(config.rope.original_max_position_embeddings, 32);
  }
  const DecoderConfig usual = read("Phi3ForSequenceClassification", "phi3",
                                   R"("sliding_window": 2047, "resid_pdrop": 0.0)");
  EXPECT_THAT(usual.windows, ElementsAre(2047, 2047));
  const auto bad = [](const std::string& extra) {
    return failure("Phi3ForSequenceClassification", "phi3", extra);
  };
  EXPECT_THAT(bad(R"("rope_scaling": {"type": "linear", "factor": 2.0})"),
              HasSubstr("rope_scaling"));
  EXPECT_THAT(bad(R"("rope_scaling": {"type": "longrope", )" + factors + "}"),
              HasSubstr("original_max_position_embeddings is missing"));
  const DecoderConfig partial =
      read("Phi3ForSequenceClassification", "phi3", R"("partial_rotary_factor": 0.75)");
  EXPECT_EQ(rotary_dim(partial, partial.rope), 6);
  EXPECT_THAT(bad(R"("partial_rotary_factor": 0.9)"), HasSubstr("7 of the 8 values"));
  EXPECT_THAT(bad(R"("partial_rotary_factor": 1.5)"), HasSubstr("(0, 1]"));
  EXPECT_THAT(failure("LlamaForSequenceClassification", "llama", scaled("su")), HasSubstr("su"));
  // Published with its code beside it, which transformers does not run either.
  read("Phi3ForCausalLM", "phi3",
       R"("auto_map": {"AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"})");
}

TEST(Wrappers, TheTextSideIsATextModel) {
  // As google/gemma-3-4b-it has it, narrowed: what its text side does not name are defaults.
  const std::string gemma3 = R"({"architectures": ["Gemma3ForSequenceClassification"],
      "model_type": "gemma3", "id2label": {"0": "LABEL_0"}, "eos_token_id": [1, 106], "image_token_index": 262144,
      "torch_dtype": "bfloat16", "vision_config": {"hidden_size": 8, "num_hidden_layers": 27},
      "text_config": {"hidden_size": 64, "intermediate_size": 96, "model_type": "gemma3_text", "num_hidden_layers": 2,
      "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024, "id2label": {"0": "a", "1": "b"}}})";
  const DecoderConfig config = parse_model_config(gemma3, "c");
  EXPECT_EQ(config.wrapper, "gemma3");
  EXPECT_EQ(config.model_type, "gemma3_text");
  EXPECT_EQ(config.architecture, "Gemma3TextForSequenceClassification");
  EXPECT_EQ(config.head, HeadKind::kLinear);
  EXPECT_EQ(config.vocab_size, 262208);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.num_heads, 8);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.rope.factor, 8.0);
  EXPECT_EQ(config.pad_token_id, 0);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 106));
  EXPECT_EQ(config.stored_dtype, "bfloat16");
  EXPECT_THAT(config.windows, ElementsAre(1024, 1024));
}

TEST(Wrappers, MultimodalRopeIsRope) {
  const std::string flat =
      R"("rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vision_config": {"hidden_size": 8},
      "rope_theta": 1000000.0, "use_sliding_window": false, "sliding_window": 32768)";
  const DecoderConfig config = read("Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", flat);
  EXPECT_EQ(config.architecture, "Qwen2ForCausalLM");
  EXPECT_EQ(config.rope, (RopeConfig{.theta = 1e6}));
  EXPECT_EQ(config.pad_token_id, 0);
  EXPECT_EQ(config.hidden_size, 32);
  EXPECT_THAT(failure("Qwen2ForCausalLM", "qwen2", flat), HasSubstr("mrope_section"));
  EXPECT_THAT(failure("Gemma3ForSequenceClassification", "gemma3", R"("text_config": [])"),
              HasSubstr("text_config is a JSON array"));
  EXPECT_THAT(failure("LlamaForSequenceClassification", "gemma3"), HasSubstr("model_type"));
  EXPECT_THAT(failure("Gemma3ForSequenceClassification", "gemma3_text"),
              HasSubstr("unknown architecture"));
}

}  // namespace
}  // namespace charm::engine
