#include "charm/model/heads.h"

#include <fmt/format.h>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/model/config_reader.h"

namespace charm::model {
namespace {

void read_nothing(const ConfigReader&, DecoderConfig&) {}

std::vector<HeadLayerShape> linear_layers(const DecoderConfig& c) {
  return {{"score", c.hidden_size, 1, /*bias=*/false}};
}

// INF-ORM's model card: Linear(D, D), ReLU, Linear(D, 1).
std::vector<HeadLayerShape> two_layers(const DecoderConfig& c) {
  return {{"score.0", c.hidden_size, c.hidden_size, /*bias=*/true},
          {"score.2", c.hidden_size, 1, /*bias=*/true}};
}

// GRM (arXiv 2406.10216) as RewardBench runs it: `vhead_num_layers` times Linear and ReLU, then
// Linear; or one Linear. Defaults are its own.
void read_value_head(const ConfigReader& reader, DecoderConfig& config) {
  const std::string type = reader.text_or("vhead_layer_type", "mlp");
  if (type != "mlp" && type != "linear")
    reader.fail("vhead_layer_type", "", "\"mlp\" or \"linear\"");
  if (reader.integer_or("vhead_num_output", 1, 1) != 1) {
    reader.fail("vhead_num_output",
                "a reward model has one output, because its score is one number", "1");
  }
  constexpr std::int64_t kMostLayers = 64;
  config.head_num_hidden =
      type == "linear" ? 0 : reader.integer_or("vhead_num_layers", 1, 1, kMostLayers);
  config.head_hidden_width = reader.integer_or("vhead_num_neurons", 1024, 1);
}

std::vector<HeadLayerShape> value_head_layers(const DecoderConfig& c) {
  if (c.head_num_hidden == 0) return {{"v_head.summary", c.hidden_size, 1, /*bias=*/true}};
  std::vector<HeadLayerShape> layers;
  std::int64_t inputs = c.hidden_size;
  for (std::int64_t i = 0; i < c.head_num_hidden; ++i) {  // modules 1, 3, ... are the ReLUs
    layers.push_back(
        {fmt::format("v_head.summary.{}", 2 * i), inputs, c.head_hidden_width, /*bias=*/true});
    inputs = c.head_hidden_width;
  }
  layers.push_back(
      {fmt::format("v_head.summary.{}", 2 * c.head_num_hidden), inputs, 1, /*bias=*/true});
  return layers;
}

constexpr Head kHeads[] = {
    {HeadKind::kLinear, "linear", "linear (score.weight)", "", "", /*pools_last_token=*/false,
     read_nothing, linear_layers},
    {HeadKind::kTwoLayers, "two-layers", "two layers (INF-ORM, score.0 and score.2)",
     "INFORMForSequenceClassification", "",
     /*pools_last_token=*/false, read_nothing, two_layers},
    {HeadKind::kValueHead, "value-head", "value head (GRM, v_head.summary)", "GRewardModel",
     "vhead_layer_type", /*pools_last_token=*/true, read_value_head, value_head_layers},
};

/// Reward models whose published head is more than layers on the pooled token.
struct RefusedHead {
  std::string_view architecture;
  std::string_view why;
};
constexpr std::string_view kGating =
    "its score mixes several objectives with weights that a gating network computes at the end of "
    "the prompt";
constexpr RefusedHead kRefused[] = {
    {"LlamaForRewardModelWithGating", kGating},    // ArmoRM, QRM-Llama3
    {"LlamaForRewardModelWithGating31", kGating},  // QRM-Llama3.1
    {"Gemma2ForRewardModelWithGating", kGating},   // QRM-Gemma-2
    {"RewardModelWithGating", kGating},
    {"LDLRewardModel27B", "its score is the mean of a predicted distribution"},
    {"Gemma3ForSequenceClassification",
     "it reads images too; the text models are Gemma3TextForSequenceClassification"},
    {"Gemma3ForConditionalGeneration",
     "it reads images too; the text models are Gemma3ForCausalLM"},
};

}  // namespace

const Head& head_of(HeadKind kind) {
  for (const Head& head : kHeads) {
    if (head.kind == kind) return head;
  }
  throw Error(ErrorKind::kInternal, "head_of: no head of kind {}", static_cast<int>(kind));
}

const Head* find_head(std::string_view architecture) {
  for (const Head& head : kHeads) {
    if (!head.architecture.empty() && head.architecture == architecture) return &head;
  }
  return nullptr;
}

const Head* find_marked_head(const ConfigReader& reader) {
  for (const Head& head : kHeads) {
    if (!head.mark.empty() && reader.present(head.mark)) return &head;
  }
  return nullptr;
}

std::vector<std::string_view> head_architectures() {
  std::vector<std::string_view> names;
  for (const Head& head : kHeads) {
    if (!head.architecture.empty()) names.push_back(head.architecture);
  }
  return names;
}

void refuse_known_head(const ConfigReader& reader, std::string_view architecture) {
  for (const RefusedHead& refused : kRefused) {
    if (architecture == refused.architecture) {
      throw Error(ErrorKind::kInput, "{}: a {} cannot be scored: {}", reader.file(), architecture,
                  refused.why);
    }
  }
}

}  // namespace charm::model
