#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>
#include <string>

#include "charm/base/error.h"
#include "charm/engine/config_reader.h"
#include "charm/engine/gated_head.h"

namespace charm::engine {
namespace {

/// Names of a head's networks in files.
struct NetworkNames {
  std::string_view rewards, gate;
};

NetworkNames networks_of(HeadKind kind) {
  switch (kind) {
    case HeadKind::kMeansAndVariances:
      return {"score", "weights.fc"};
    case HeadKind::kDistribution:
      return {"regression_layer.network", "gating_layer.network"};
    default:
      return {"regression_layer", "gating.layers"};
  }
}

std::string module_name(std::string_view network, const HeadModule& module) {
  return module.number < 0 ? std::string(network) : fmt::format("{}.{}", network, module.number);
}

/// The modules of a network, from the shapes of its stored tensors.
std::vector<HeadModule> stored_modules(const HeadEvidence& evidence, std::string_view network) {
  std::vector<HeadModule> modules;
  for (const auto& [name, tensor] : evidence.tensors) {
    if (!name.starts_with(network) || !name.ends_with(".weight")) continue;
    const std::string_view middle = std::string_view(name).substr(
        network.size(), name.size() - network.size() - std::string_view(".weight").size());
    HeadModule module;
    if (!middle.empty()) {
      const auto [end, code] =
          std::from_chars(middle.data() + 1, middle.data() + middle.size(), module.number);
      const bool is_number =
          middle.front() == '.' && code == std::errc() && end == middle.data() + middle.size();
      if (!is_number) continue;
    }
    const std::string module_path = module_name(network, module);
    module.is_batch_norm = tensor.shape.size() == 1;
    module.outputs = tensor.shape.empty() ? 0 : tensor.shape.front();
    module.inputs = tensor.shape.empty() ? 0 : tensor.shape.back();
    module.has_bias = evidence.tensors.contains(module_path + ".bias");
    modules.push_back(module);
  }
  std::sort(modules.begin(), modules.end(),
            [](const HeadModule& a, const HeadModule& b) { return a.number < b.number; });
  return modules;
}

/// Reads both networks; throws kInput where the stored tensors are no such networks.
void read_networks(const ConfigReader& reader, const HeadEvidence& evidence,
                   DecoderConfig& config) {
  if (evidence.tensors.empty()) return;  // only config.json is there
  const NetworkNames names = networks_of(config.head);
  config.reward_modules = stored_modules(evidence, names.rewards);
  config.gate_modules = stored_modules(evidence, names.gate);
  for (const auto& [name, modules] : {std::pair(names.rewards, &config.reward_modules),
                                      std::pair(names.gate, &config.gate_modules)}) {
    std::int64_t width = config.hidden_size;
    for (const HeadModule& module : *modules) {
      const bool fits = module.outputs > 0 && module.inputs == width;
      if (!fits) {
        throw Error(ErrorKind::kInput,
                    "{}: tensor '{}.weight' of the head takes {} inputs, expected {}",
                    evidence.folder, module_name(name, module), module.inputs, width);
      }
      width = module.outputs;
    }
    if (modules->empty() || modules->back().is_batch_norm) {
      throw Error(ErrorKind::kInput,
                  "{}: tensors '{}.*' are missing: without them the model has no reward head, and "
                  "a random one is never used",
                  evidence.folder, name);
    }
  }
  config.num_objectives = config.gate_modules.back().outputs;
  if (config.reward_modules.back().outputs % config.num_objectives != 0) {
    reader.fail("architectures",
                fmt::format("the head has {} outputs, no multiple of its {} objectives",
                            config.reward_modules.back().outputs, config.num_objectives),
                "tensors that fit together");
  }
}

// ArmoRM's modeling_custom.py and QRM's look for
// "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n" in Llama-3's ids.
constexpr std::int32_t kLlama3Gate[] = {128009, 128006, 78191, 128007, 271};
// QRM's, for Gemma-2: "<end_of_turn>\n<start_of_turn>model\n".
constexpr std::int32_t kGemma2Gate[] = {107, 108, 106, 2516, 108};

/// Where the gating network reads.
void read_gate_tokens(const ConfigReader& reader, DecoderConfig& config) {
  config.gate_tokens = reader.token_ids(
      "gating_token_pattern");  // our own key: the published code supports one tokenizer
  const bool is_gemma2 = config.head == HeadKind::kQuantiles && config.model_type == "gemma2";
  if (config.gate_tokens.empty()) {
    if (config.model_type != "llama" && !is_gemma2) {
      reader.fail("gating_token_pattern", "there is a default for Llama-3's assistant header only",
                  "the ids that the gating network looks for");
    }
    const std::span<const std::int32_t> usual = is_gemma2
                                                    ? std::span<const std::int32_t>(kGemma2Gate)
                                                    : std::span<const std::int32_t>(kLlama3Gate);
    config.gate_tokens.assign(usual.begin(), usual.end());
  }
  for (const std::int32_t id : config.gate_tokens) {
    if (id < 0 || id >= config.vocab_size) {
      reader.fail(
          "vocab_size",
          fmt::format("the gating network looks for token {} of the assistant's header", id),
          "more than that");
    }
  }
}

}  // namespace

void read_gated_head(const ConfigReader& reader, const HeadEvidence&, DecoderConfig& config) {
  constexpr std::int64_t kMost = 4096;
  config.num_objectives = reader.integer_or("num_objectives", 19, 1, kMost);
  const std::int64_t hidden = reader.integer_or("gating_n_hidden", 3, 0, 64);
  const std::int64_t width = reader.integer_or("gating_hidden_dim", 1024, 1);
  config.gate_temperature = reader.positive_or("gating_temperature", 10.0);
  config.has_reward_transform = config.has_gate_scale = true;
  config.reward_modules = {{.inputs = config.hidden_size, .outputs = config.num_objectives}};
  std::int64_t inputs = config.hidden_size;
  for (std::int64_t i = 0; i <= hidden; ++i) {
    const std::int64_t outputs = i == hidden ? config.num_objectives : width;
    config.gate_modules.push_back(
        {.number = i, .inputs = inputs, .outputs = outputs, .has_bias = true});
    inputs = outputs;
  }
  read_gate_tokens(reader, config);
}

void read_quantile_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config) {
  // Defaults of the published code: 10 for Llama-3.1, 1 for Gemma-2.
  config.gate_temperature =
      reader.positive_or("gating_temperature", config.model_type == "gemma2" ? 1.0 : 10.0);
  config.has_reward_transform = evidence.tensors.contains("reward_transform_matrix");
  config.has_gate_scale = evidence.tensors.contains("gating.logit_scale");
  read_networks(reader, evidence, config);
  const std::int64_t quantiles = reader.integer_or("num_quantiles", 0, 0);
  if (quantiles > 0 && config.num_objectives > 0 &&
      config.reward_modules.back().outputs != quantiles * config.num_objectives) {
    reader.fail("num_quantiles",
                fmt::format("the head has {} outputs for {} objectives",
                            config.reward_modules.back().outputs, config.num_objectives),
                "their quotient");
  }
  read_gate_tokens(reader, config);
}

void read_variance_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config) {
  config.gate_softmax = false;
  read_networks(reader, evidence, config);
}

void read_distribution_head(const ConfigReader& reader, const HeadEvidence& evidence,
                            DecoderConfig& config) {
  config.gate_softmax = reader.boolean("softmax", false);
  config.gate_temperature = reader.positive_or("temperature", 1.0);
  read_networks(reader, evidence, config);
}

std::vector<HeadLayerShape> objective_layers(const DecoderConfig& c) {
  const NetworkNames names = networks_of(c.head);
  std::vector<HeadLayerShape> layers;
  const auto add = [&](std::string_view network, const std::vector<HeadModule>& modules) {
    for (const HeadModule& module : modules) {
      const std::string name = module_name(network, module);
      if (module.is_batch_norm) {
        layers.push_back({name + ".weight", name + ".bias", {module.outputs}});
        layers.push_back({name + ".running_mean", "", {module.outputs}});
        layers.push_back({name + ".running_var", "", {module.outputs}});
        continue;
      }
      layers.push_back({name + ".weight",
                        module.has_bias ? name + ".bias" : "",
                        {module.outputs, module.inputs}});
    }
  };
  add(names.rewards, c.reward_modules);
  if (c.has_reward_transform)
    layers.push_back({"reward_transform_matrix", "", {c.num_objectives, c.num_objectives}});
  if (c.has_gate_scale) layers.push_back({"gating.logit_scale", "", {1}});
  add(names.gate, c.gate_modules);
  return layers;
}

bool mixes_objectives(HeadKind kind) {
  return kind == HeadKind::kGated || kind == HeadKind::kQuantiles ||
         kind == HeadKind::kMeansAndVariances || kind == HeadKind::kDistribution;
}

}  // namespace charm::engine
