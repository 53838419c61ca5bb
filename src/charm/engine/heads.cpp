#include "charm/engine/heads.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/engine/config_reader.h"
#include "charm/engine/families/family.h"
#include "charm/engine/gated_head.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

void read_nothing(const ConfigReader&, const HeadEvidence&, DecoderConfig&) {}

HeadLayerShape linear_layer(const std::string& name, std::int64_t inputs, std::int64_t outputs,
                            bool bias) {
  return {
      .weight = name + ".weight", .bias = bias ? name + ".bias" : "", .shape = {outputs, inputs}};
}

std::vector<HeadLayerShape> linear_layers(const DecoderConfig& c) {
  return {linear_layer("score", c.hidden_size, 1, /*bias=*/false)};
}

// INF-ORM's model card and Qwen2.5-Math-RM's modeling_qwen2_rm.py: Linear(D, D), ReLU, Linear(D,
// 1).
std::vector<HeadLayerShape> two_layers(const DecoderConfig& c) {
  return {linear_layer("score.0", c.hidden_size, c.hidden_size, /*bias=*/true),
          linear_layer("score.2", c.hidden_size, 1, /*bias=*/true)};
}

// Eurus-RM's and UltraRM's model cards.
std::vector<HeadLayerShape> regression_layers(const DecoderConfig& c) {
  return {linear_layer("regression_head", c.hidden_size, 1, /*bias=*/false)};
}

// TRL's AutoModelForCausalLMWithValueHead and LLaMA-Factory: one Linear on a causal LM's last
// token.
constexpr std::string_view kValueHeadTensor = "v_head.summary.weight";

// GRM (arXiv 2406.10216) as RewardBench runs it: `vhead_num_layers` times Linear and ReLU, then
// Linear; or one Linear. Defaults are its own.
void read_value_head(const ConfigReader& reader, const HeadEvidence& evidence,
                     DecoderConfig& config) {
  if (!reader.present("vhead_layer_type") &&
      evidence.tensors.contains(std::string(kValueHeadTensor))) {
    config.head_num_hidden = 0;
    return;
  }
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
  if (c.head_num_hidden == 0)
    return {linear_layer("v_head.summary", c.hidden_size, 1, /*bias=*/true)};
  std::vector<HeadLayerShape> layers;
  std::int64_t inputs = c.hidden_size;
  for (std::int64_t i = 0; i < c.head_num_hidden; ++i) {  // modules 1, 3, ... are the ReLUs
    layers.push_back(linear_layer(fmt::format("v_head.summary.{}", 2 * i), inputs,
                                  c.head_hidden_width,
                                  /*bias=*/true));
    inputs = c.head_hidden_width;
  }
  layers.push_back(linear_layer(fmt::format("v_head.summary.{}", 2 * c.head_num_hidden), inputs, 1,
                                /*bias=*/true));
  return layers;
}

// NVIDIA's Nemotron reward models are read as a logit of their language model: the model card's
// snippet takes that of token 0.
std::vector<HeadLayerShape> logit_layers(const DecoderConfig& c) {
  return {{.weight = std::string(
               c.tie_word_embeddings ? family_of_type(c.model_type).names->embedding : kLmHead),
           .bias = "",
           .shape = {1, c.hidden_size},
           .row = c.head_logit_id}};
}

/// Whether the folder, one above it (the Hub's cache), or the config's own name says so.
bool is_nemotron_reward(const ConfigReader& reader, const std::string& folder) {
  std::vector<std::string> names{reader.text_or("_name_or_path", "")};
  for (const std::filesystem::path& part : std::filesystem::path(folder)) names.push_back(part);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    const std::size_t at = name.find("Nemotron");
    return at != std::string::npos && name.find("Reward", at) != std::string::npos;
  });
}

// OpenRLHF 0.11, models/model.py: a Linear without bias under `value_head_prefix`, a key that its
// own config.json lacks; the only other tensor outside of the trunk is its head then.
void read_openrlhf_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config) {
  constexpr std::string_view kWeight = ".weight";
  config.head_name = reader.text_or("value_head_prefix", "");
  for (const char* name : {"score", "value_head"}) {
    if (config.head_name.empty() && evidence.tensors.contains(name + std::string(kWeight)))
      config.head_name = name;
  }
  for (const auto& [name, tensor] : evidence.tensors) {
    const bool fits = tensor.shape == std::vector<std::int64_t>{1, config.hidden_size};
    if (config.head_name.empty() && fits && name.ends_with(kWeight))
      config.head_name = name.substr(0, name.size() - kWeight.size());
  }
  if (config.head_name.empty()) config.head_name = "score";
  const auto found = evidence.tensors.find(config.head_name + std::string(kWeight));
  if (found != evidence.tensors.end()) config.head_place = found->second.file;
  // Its loader takes the flag from its command line and normalises in eval mode only.
  if (!reader.boolean("normalize_reward", false)) return;
  config.score_mean = reader.number("mean");
  config.score_std = reader.positive("std");
}

std::vector<HeadLayerShape> openrlhf_layers(const DecoderConfig& c) {
  return {linear_layer(c.head_name, c.hidden_size, 1, /*bias=*/false)};
}

// InternLM2's modeling_internlm2.py, as allenai/reward-bench models/internlm.py runs it: a Linear
// without bias on a token that is appended where the conversation does not end with it.
void read_reward_token(const ConfigReader& reader, const HeadEvidence&, DecoderConfig& config) {
  const std::vector<std::int32_t> ids = reader.token_ids("reward_token_id");
  if (ids.size() != 1 || ids.front() < 0 || ids.front() >= config.vocab_size)
    reader.fail("reward_token_id", "the score is read at this token", "one id of the vocabulary");
  config.appended_token = ids.front();
}

std::vector<HeadLayerShape> reward_token_layers(const DecoderConfig& c) {
  return {linear_layer("v_head", c.hidden_size, 1, /*bias=*/false)};
}

// DebertaV2ForSequenceClassification: ContextPooler and classifier, with the config's activation
// between them.
std::vector<HeadLayerShape> pooler_layers(const DecoderConfig& c) {
  return {linear_layer("pooler.dense", c.hidden_size, c.hidden_size, /*bias=*/true),
          linear_layer("classifier", c.hidden_size, 1, /*bias=*/true)};
}

constexpr std::string_view kTwoLayerNames[] = {"INFORMForSequenceClassification",
                                               "Qwen2ForRewardModel"};
constexpr std::string_view kValueHeadNames[] = {"GRewardModel"};
constexpr std::string_view kRegressionNames[] = {"EurusRewardModel", "LlamaRewardModel"};
constexpr std::string_view kGatedNames[] = {"LlamaForRewardModelWithGating"};
constexpr std::string_view kQuantileNames[] = {"LlamaForRewardModelWithGating31",
                                               "LlamaForRewardModelWithGating3",
                                               "Gemma2ForQuantileSequenceClassification"};
constexpr std::string_view kVarianceNames[] = {"LlamaForSequenceClassificationWithNormal_Weights"};
constexpr std::string_view kDistributionNames[] = {"LDLRewardModel27B"};
constexpr std::string_view kRewardTokenNames[] = {"InternLM2ForRewardModel"};
constexpr std::string_view kOpenRlhfNames[] = {"RewardModel", "LLMForSequenceRegression"};

constexpr Head kHeads[] = {
    {HeadKind::kLinear,
     "linear",
     "linear (score.weight)",
     {},
     "",
     /*pools_last_token=*/false,
     /*trains=*/true,
     /*by_tensors=*/false,
     read_nothing,
     linear_layers},
    {HeadKind::kTwoLayers, "two-layers",
     "two layers (score.0 and score.2: INF-ORM, Qwen2.5-Math-RM)", kTwoLayerNames, "",
     /*pools_last_token=*/false, /*trains=*/true, /*by_tensors=*/false, read_nothing, two_layers},
    {HeadKind::kValueHead, "value-head", "value head (GRM, v_head.summary)", kValueHeadNames,
     "vhead_layer_type",
     /*pools_last_token=*/true, /*trains=*/true, /*by_tensors=*/false, read_value_head,
     value_head_layers},
    {HeadKind::kRegression, "regression", "linear (regression_head: Eurus-RM, UltraRM)",
     kRegressionNames, "",
     /*pools_last_token=*/true, /*trains=*/true, /*by_tensors=*/false, read_nothing,
     regression_layers},
    {HeadKind::kGated, "gated", "objectives mixed by a gating network (ArmoRM)", kGatedNames, "",
     /*pools_last_token=*/false,
     /*trains=*/false, /*by_tensors=*/false, read_gated_head, objective_layers},
    {HeadKind::kQuantiles, "quantiles", "means of quantiles, mixed by a gating network (QRM)",
     kQuantileNames, "",
     /*pools_last_token=*/false,
     /*trains=*/false, /*by_tensors=*/true, read_quantile_head, objective_layers},
    {HeadKind::kMeansAndVariances, "means-and-variances",
     "means of objectives, mixed by predicted weights (URM)", kVarianceNames, "",
     /*pools_last_token=*/false,
     /*trains=*/false, /*by_tensors=*/true, read_variance_head, objective_layers},
    {HeadKind::kDistribution, "distribution",
     "means of predicted distributions, mixed by a gating network (LDL)", kDistributionNames, "",
     /*pools_last_token=*/false,
     /*trains=*/false, /*by_tensors=*/true, read_distribution_head, objective_layers},
    {HeadKind::kOpenRlhf, "openrlhf", "linear (OpenRLHF)", kOpenRlhfNames, "",
     /*pools_last_token=*/true,
     /*trains=*/true, /*by_tensors=*/true, read_openrlhf_head, openrlhf_layers},
    {HeadKind::kRewardToken, "reward-token", "linear on an appended token (v_head: InternLM2)",
     kRewardTokenNames, "",
     /*pools_last_token=*/true,
     /*trains=*/false, /*by_tensors=*/false, read_reward_token, reward_token_layers},
    {HeadKind::kLmLogit,
     "lm-logit",
     "logit of a vocabulary entry (--head lm-logit:ID)",
     {},
     "",
     /*pools_last_token=*/true,
     /*trains=*/false,
     /*by_tensors=*/false,
     read_nothing,
     logit_layers},
    {HeadKind::kPooler,
     "pooler",
     "pooler and classifier on the first token (DeBERTa)",
     {},
     "",
     /*pools_last_token=*/true,  // no pad at the end is left out
     /*trains=*/false,
     /*by_tensors=*/false,
     read_nothing,
     pooler_layers},
};

/// Known reward models with unsupported heads.
struct RefusedHead {
  std::string_view architecture;
  std::string_view why;
};
constexpr std::string_view kQuantiles =
    "its score mixes quantiles of several objectives with weights of a gating network";
constexpr RefusedHead kRefused[] = {
    {"Gemma2ForRewardModelWithGating", kQuantiles},
    {"RewardModelWithGating", kQuantiles},
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

const Head* find_head(const ConfigReader& reader, std::string_view architecture) {
  const Head* head = find_head(architecture);
  // QRM's own code has ArmoRM's class name.
  const bool is_quantile =
      head != nullptr && head->kind == HeadKind::kGated && reader.present("num_quantiles");
  return is_quantile ? &head_of(HeadKind::kQuantiles) : head;
}

const Head* find_marked_head(const ConfigReader& reader) {
  for (const Head& head : kHeads) {
    if (!head.mark.empty() && reader.present(head.mark)) return &head;
  }
  return nullptr;
}

const Head* find_stored_head(const ConfigReader& reader, const HeadEvidence& evidence,
                             DecoderConfig& config) {
  if (evidence.logit_id) {
    if (*evidence.logit_id >= config.vocab_size) {
      throw Error(ErrorKind::kUsage, "--head lm-logit:{}: {} has a vocabulary of {} tokens",
                  *evidence.logit_id, reader.file(), config.vocab_size);
    }
    config.head_logit_id = *evidence.logit_id;
    config.head_place = "the option --head";
    return &head_of(HeadKind::kLmLogit);
  }
  const auto value = evidence.tensors.find(std::string(kValueHeadTensor));
  if (value != evidence.tensors.end()) {
    config.head_place = value->second.file;
    return &head_of(HeadKind::kValueHead);
  }
  const auto score = evidence.tensors.find("score.weight");
  if (score != evidence.tensors.end() && score->second.from_adapter) {
    config.head_place = score->second.file;
    return &head_of(HeadKind::kLinear);
  }
  if (!is_nemotron_reward(reader, evidence.folder)) return nullptr;
  config.head_logit_id = 0;
  config.head_place = "the model's name";
  return &head_of(HeadKind::kLmLogit);
}

std::vector<std::string_view> head_architectures() {
  std::vector<std::string_view> names;
  for (const Head& head : kHeads) {
    names.insert(names.end(), head.architectures.begin(), head.architectures.end());
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

}  // namespace charm::engine
