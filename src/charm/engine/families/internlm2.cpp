#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

void read_internlm2(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {});
  config.activation = read_hidden_act(reader);
  if (reader.boolean("bias", true))
    reader.fail("bias", "biases of fused projections are not supported", "false");
  config.rope = read_rope(reader);
}

// The three projections of attention are stored as one.
constexpr GroupedQkv kQkv{.fused = "attention.wqkv.weight",
                          .q = "attention.wq.weight",
                          .k = "attention.wk.weight",
                          .v = "attention.wv.weight"};
constexpr BlockSlot kAttention[] = {
    {kQkv.q, &BlockWeights::q_HED, WeightShape::kHeadsByModel},
    {kQkv.k, &BlockWeights::k_KED, WeightShape::kKvHeadsByModel},
    {kQkv.v, &BlockWeights::v_KED, WeightShape::kKvHeadsByModel},
    {"attention.wo.weight", &BlockWeights::o_DHE, WeightShape::kModelByHeads},
};
constexpr BlockSlot kMlp[] = {
    {"feed_forward.w1.weight", &BlockWeights::gate_FD, WeightShape::kMlpByModel},
    {"feed_forward.w3.weight", &BlockWeights::up_FD, WeightShape::kMlpByModel},
    {"feed_forward.w2.weight", &BlockWeights::down_DF, WeightShape::kModelByMlp},
};
constexpr BlockSlot kNorms[] = {
    {"attention_norm.weight", &BlockWeights::input_norm_D, WeightShape::kNorm},
    {"ffn_norm.weight", &BlockWeights::mlp_norm_D, WeightShape::kNorm},
};
constexpr std::span<const BlockSlot> kSlots[] = {kAttention, kMlp, kNorms};
constexpr WeightNames kNames{.embedding = "model.tok_embeddings.weight",
                             .block_prefix = "model.layers.",
                             .block_slots = kSlots,
                             .final_norm = "model.norm.weight",
                             .grouped_qkv = &kQkv};

}  // namespace

const Family kInternLm2{.model_type = "internlm2",
                        .sequence_classifier = "InternLM2ForSequenceClassification",
                        .causal_lm = "InternLM2ForCausalLM",
                        .read_config = read_internlm2,
                        .names = &kNames};

}  // namespace charm::engine
