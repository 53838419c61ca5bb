// Bidirectional encoders (DeBERTa-v2, v3): config.json, tensors, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/weight_names.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/engine/model_folder.h"

namespace charm::engine {
namespace {

using charm::testing::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

const char* const kDeberta = "DebertaV2ForSequenceClassification";
/// Keys of microsoft/deberta-v3-base.
const std::string kV3 =
    R"("num_key_value_heads": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-7, "relative_attention": true,
       "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": "p2c|c2p",
       "type_vocab_size": 0, "max_relative_positions": -1, "position_biased_input": false,
       "pooler_hidden_size": 32, "pooler_dropout": 0, "pooler_hidden_act": "gelu")";

DecoderConfig deberta(const std::string& extra = "") {
  return testing_support::read(kDeberta, "deberta-v2", kV3 + (extra.empty() ? "" : ", ") + extra);
}

std::string bad_deberta(const std::string& extra) {
  return testing_support::failure(kDeberta, "deberta-v2", kV3 + ", " + extra);
}

std::set<std::string> tensors(const DecoderConfig& config) {
  DecoderWeights weights;
  std::set<std::string> names;
  for (const WeightSlot& slot : weight_slots(weights, config)) names.insert(slot.name);
  return names;
}

TEST(Deberta, ReadsThePublishedKeys) {
  const DecoderConfig config = deberta();
  const RelativeAttention& relative = config.encoder->relative;
  EXPECT_EQ(relative.span, 16);
  EXPECT_EQ(relative.max_position, 128);  // max_position_embeddings
  EXPECT_TRUE(relative.content_to_position && relative.position_to_content);
  EXPECT_TRUE(relative.shares_content_weights && relative.norms_table);
  EXPECT_FALSE(config.encoder->has_positions);
  EXPECT_EQ(config.head, HeadKind::kPooler);
  EXPECT_EQ(config.pad_token_id, -1);  // no token is left out
  EXPECT_FALSE(shares_prompts(config));
  for (const char* terms : {R"(["c2p", "p2c"])", R"("C2P | p2c")"})
    EXPECT_EQ(deberta(std::string(R"("pos_att_type": )") + terms).encoder->relative, relative);
  EXPECT_FALSE(deberta(R"("pos_att_type": ["c2p"])").encoder->relative.position_to_content);
  EXPECT_EQ(
      deberta(R"("position_buckets": -1, "max_relative_positions": 10)").encoder->relative.span,
      10);
}

TEST(Deberta, TensorsFollowTheSettings) {
  const std::string layer = "deberta.encoder.layer.1.attention.self.";
  const std::set<std::string> shared = tensors(deberta());
  EXPECT_TRUE(shared.contains("deberta.encoder.rel_embeddings.weight"));
  EXPECT_TRUE(shared.contains("deberta.encoder.LayerNorm.bias"));
  EXPECT_TRUE(shared.contains("pooler.dense.weight") && shared.contains("classifier.bias"));
  EXPECT_FALSE(shared.contains(layer + "pos_key_proj.weight"));
  EXPECT_FALSE(shared.contains("deberta.embeddings.position_embeddings.weight"));
  const std::set<std::string> own = tensors(deberta(
      R"("share_att_key": false, "pos_att_type": ["p2c"], "position_biased_input": true,
         "type_vocab_size": 2, "embedding_size": 12, "norm_rel_ebd": "none", "conv_kernel_size": 3)"));
  EXPECT_TRUE(own.contains(layer + "pos_query_proj.bias"));
  EXPECT_FALSE(own.contains(layer + "pos_key_proj.weight"));
  EXPECT_FALSE(own.contains("deberta.encoder.LayerNorm.bias"));
  for (const char* name :
       {"embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight",
        "embeddings.embed_proj.weight", "encoder.conv.conv.weight",
        "encoder.conv.LayerNorm.weight"})
    EXPECT_TRUE(own.contains(std::string("deberta.") + name)) << name;
  EXPECT_TRUE(is_ignored_weight("deberta.embeddings.position_ids", deberta()));
}

TEST(Deberta, WhatIsNotComputedIsRefusedByName) {
  EXPECT_THAT(bad_deberta(R"("pos_att_type": ["p2p"])"),
              AllOf(HasSubstr("pos_att_type"), HasSubstr("'p2p' is not implemented")));
  EXPECT_THAT(bad_deberta(R"("hidden_act": "silu")"), HasSubstr("hidden_act"));
  EXPECT_THAT(bad_deberta(R"("pooler_hidden_act": "mish")"), HasSubstr("pooler_hidden_act"));
  EXPECT_THAT(bad_deberta(R"("norm_rel_ebd": "batch_norm")"), HasSubstr("norm_rel_ebd"));
  EXPECT_THAT(bad_deberta(R"("position_buckets": 2)"), HasSubstr("position_buckets"));
  EXPECT_THAT(bad_deberta(R"("position_buckets": 400)"), HasSubstr("position_buckets"));
  EXPECT_THAT(bad_deberta(R"("pooler_hidden_size": 16)"), HasSubstr("pooler_hidden_size"));
  EXPECT_THAT(bad_deberta(R"("attention_head_size": 16)"), HasSubstr("attention_head_size"));
  EXPECT_THAT(bad_deberta(R"("conv_kernel_size": 3, "conv_groups": 4)"), HasSubstr("conv_groups"));
  EXPECT_THAT(bad_deberta(R"("conv_kernel_size": 2)"), HasSubstr("conv_kernel_size"));
  EXPECT_THAT(bad_deberta(R"("type_vocab_size": 1)"), HasSubstr("type_vocab_size"));
  EXPECT_THAT(bad_deberta(R"("num_labels": 3)"), HasSubstr("num_labels"));
  EXPECT_THAT(bad_deberta(R"("sliding_window": 8)"), HasSubstr("sliding_window"));
  for (const std::string name : {"DebertaV2ForMaskedLM", "DebertaForSequenceClassification"}) {
    EXPECT_THAT(testing_support::failure(name, "deberta-v2", kV3),
                AllOf(HasSubstr("unknown architecture '" + name), HasSubstr(kDeberta)));
  }
  EXPECT_THAT(error_of([] {
                require_more_than_scores(deberta(), "training", "train it elsewhere");
              }).message(),
              AllOf(HasSubstr("training is not supported for bidirectional encoders"),
                    HasSubstr("train it elsewhere")));
}

TEST(Deberta, ARowOfMoreTokensThanPositionsIsRefused) {
  const charm::testing::TempFolder folder;
  testing_support::write_tiny_model(
      folder / "m",
      testing_support::config_text(kDeberta, "deberta-v2", kV3 + R"(, "position_biased_input": true,
                                              "max_position_embeddings": 20)"));
  const auto model = load_reward_model(folder / "m", {.dtype = DTypeChoice::kFloat32});
  const auto score = [&](std::size_t length) {
    return model->score(pack(group_by_prompt({{7, {std::vector<std::int32_t>(length, 5), 4}}})));
  };
  EXPECT_EQ(score(20).size(), 1u);
  EXPECT_THAT(error_of([&] { score(21); }).message(),
              AllOf(HasSubstr("row 7"), HasSubstr("21 tokens"), HasSubstr("--max-tokens 20")));
}

}  // namespace
}  // namespace charm::engine
