#include "charm/model/heads.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/model/config_reader.h"

namespace charm::model {
namespace {

void read_nothing(const ConfigReader&, DecoderConfig&) {}

HeadLayerShape linear(const std::string& name, std::int64_t inputs, std::int64_t outputs,
                      bool bias) {
  return {name + ".weight", bias ? name + ".bias" : "", {outputs, inputs}};
}

std::vector<HeadLayerShape> linear_layers(const DecoderConfig& c) {
  return {linear("score", c.hidden_size, 1, /*bias=*/false)};
}

// INF-ORM's model card and Qwen2.5-Math-RM's modeling_qwen2_rm.py: Linear(D, D), ReLU, Linear(D,
// 1).
std::vector<HeadLayerShape> two_layers(const DecoderConfig& c) {
  return {linear("score.0", c.hidden_size, c.hidden_size, /*bias=*/true),
          linear("score.2", c.hidden_size, 1, /*bias=*/true)};
}

// Eurus-RM's and UltraRM's model cards.
std::vector<HeadLayerShape> regression_layers(const DecoderConfig& c) {
  return {linear("regression_head", c.hidden_size, 1, /*bias=*/false)};
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
  if (c.head_num_hidden == 0) return {linear("v_head.summary", c.hidden_size, 1, /*bias=*/true)};
  std::vector<HeadLayerShape> layers;
  std::int64_t inputs = c.hidden_size;
  for (std::int64_t i = 0; i < c.head_num_hidden; ++i) {  // modules 1, 3, ... are the ReLUs
    layers.push_back(linear(fmt::format("v_head.summary.{}", 2 * i), inputs, c.head_hidden_width,
                            /*bias=*/true));
    inputs = c.head_hidden_width;
  }
  layers.push_back(
      linear(fmt::format("v_head.summary.{}", 2 * c.head_num_hidden), inputs, 1, /*bias=*/true));
  return layers;
}

// ArmoRM's modeling_custom.py looks for
// "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n" in Llama-3's ids.
constexpr std::int32_t kLlama3Gate[] = {128009, 128006, 78191, 128007, 271};

void read_gated_head(const ConfigReader& reader, DecoderConfig& config) {
  constexpr std::int64_t kMost = 4096;
  config.num_objectives = reader.integer_or("num_objectives", 19, 1, kMost);
  config.head_num_hidden = reader.integer_or("gating_n_hidden", 3, 0, 64);
  config.head_hidden_width = reader.integer_or("gating_hidden_dim", 1024, 1);
  config.gate_temperature = reader.positive_or("gating_temperature", 10.0);
  config.gate_tokens = reader.token_ids(
      "gating_token_pattern");  // our own key: the published code supports one tokenizer
  if (config.gate_tokens.empty()) {
    if (config.model_type != "llama") {
      reader.fail("gating_token_pattern", "there is a default for Llama-3's assistant header only",
                  "the ids that the gating network looks for");
    }
    config.gate_tokens.assign(std::begin(kLlama3Gate), std::end(kLlama3Gate));
  }
  for (const std::int32_t id : config.gate_tokens) {
    if (id < 0 || id >= config.vocab_size) {
      reader.fail(
          "vocab_size",
          fmt::format("the gating network looks for token {} of Llama-3's assistant header", id),
          "more than that");
    }
  }
}

std::vector<HeadLayerShape> gated_layers(const DecoderConfig& c) {
  const std::int64_t objectives = c.num_objectives;
  std::vector<HeadLayerShape> layers = {
      linear("regression_layer", c.hidden_size, objectives, /*bias=*/false),
      {"reward_transform_matrix", "", {objectives, objectives}},
      {"gating.logit_scale", "", {1}}};
  std::int64_t inputs = c.hidden_size;
  for (std::int64_t i = 0; i <= c.head_num_hidden; ++i) {
    const std::int64_t outputs = i == c.head_num_hidden ? objectives : c.head_hidden_width;
    layers.push_back(linear(fmt::format("gating.layers.{}", i), inputs, outputs, /*bias=*/true));
    inputs = outputs;
  }
  return layers;
}

constexpr std::string_view kTwoLayerNames[] = {"INFORMForSequenceClassification",
                                               "Qwen2ForRewardModel"};
constexpr std::string_view kValueHeadNames[] = {"GRewardModel"};
constexpr std::string_view kRegressionNames[] = {"EurusRewardModel", "LlamaRewardModel"};
constexpr std::string_view kGatedNames[] = {"LlamaForRewardModelWithGating"};

constexpr Head kHeads[] = {
    {HeadKind::kLinear,
     "linear",
     "linear (score.weight)",
     {},
     "",
     /*pools_last_token=*/false,
     /*trains=*/true,
     read_nothing,
     linear_layers},
    {HeadKind::kTwoLayers, "two-layers",
     "two layers (score.0 and score.2: INF-ORM, Qwen2.5-Math-RM)", kTwoLayerNames, "",
     /*pools_last_token=*/false, /*trains=*/true, read_nothing, two_layers},
    {HeadKind::kValueHead, "value-head", "value head (GRM, v_head.summary)", kValueHeadNames,
     "vhead_layer_type",
     /*pools_last_token=*/true, /*trains=*/true, read_value_head, value_head_layers},
    {HeadKind::kRegression, "regression", "linear (regression_head: Eurus-RM, UltraRM)",
     kRegressionNames, "",
     /*pools_last_token=*/true, /*trains=*/true, read_nothing, regression_layers},
    {HeadKind::kGated, "gated", "objectives mixed by a gating network (ArmoRM)", kGatedNames, "",
     /*pools_last_token=*/false,
     /*trains=*/false, read_gated_head, gated_layers},
};

/// Known reward models with unsupported heads.
struct RefusedHead {
  std::string_view architecture;
  std::string_view why;
};
constexpr std::string_view kQuantiles =
    "its score mixes quantiles of several objectives with weights of a gating network";
constexpr RefusedHead kRefused[] = {
    {"LlamaForRewardModelWithGating3", kQuantiles},   // QRM-Llama3
    {"LlamaForRewardModelWithGating31", kQuantiles},  // QRM-Llama3.1
    {"Gemma2ForRewardModelWithGating", kQuantiles},   // QRM-Gemma-2
    {"RewardModelWithGating", kQuantiles},
    {"LDLRewardModel27B", "its score is the mean of a predicted distribution"},
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
    if (std::find(head.architectures.begin(), head.architectures.end(), architecture) !=
        head.architectures.end())
      return &head;
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
    names.insert(names.end(), head.architectures.begin(), head.architectures.end());
  }
  return names;
}

void refuse_known_head(const ConfigReader& reader, std::string_view architecture) {
  if (find_head(architecture) != nullptr && reader.present("num_quantiles")) {
    throw Error(ErrorKind::kInput, "{}: a {} with num_quantiles (QRM) cannot be scored: {}",
                reader.file(), architecture, kQuantiles);
  }
  for (const RefusedHead& refused : kRefused) {
    if (architecture == refused.architecture) {
      throw Error(ErrorKind::kInput, "{}: a {} cannot be scored: {}", reader.file(), architecture,
                  refused.why);
    }
  }
}

}  // namespace charm::model
