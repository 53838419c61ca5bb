#include "charm/engine/lora_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/option_table.h"
#include "charm/base/parse_json.h"

namespace charm::engine {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMergeInPython =
    "merge it in Python (merge_and_unload(), save_pretrained()) and give that folder";

/// Settings that make an adapter more than W + scale * B A, or change what W is.
struct ForeignSetting {
  const char* key;
  const char* what;
};
constexpr ForeignSetting kForeign[] = {
    {"use_dora", "DoRA scales the merged rows by a trained magnitude"},
    {"use_qalora", "QA-LoRA pools the inputs of a quantised base"},
    {"use_bdlora", "BD-LoRA has block-diagonal factors"},
    {"alora_invocation_tokens", "activated LoRA applies from a token on and cannot be merged"},
    {"arrow_config", "Arrow routes between several adapters"},
    {"kasa_config", "KaSA changes the base's weights"},
    {"velora_config", "VeLoRA compresses activations"},
    {"monteclora_config", "MonteCLoRA samples its factors"},
    {"layer_replication", "it repeats layers of the base"},
    {"megatron_config", "it targets Megatron's layers"}};

// Initialisations that leave the base's weights as they are.
constexpr const char* kPlainStarts[] = {"gaussian", "eva", "orthogonal"};

// peft 0.21's LoraConfig has these besides those that are read or refused; none changes a score.
constexpr std::string_view kNeutral[] = {"peft_type",
                                         "auto_mapping",
                                         "peft_version",
                                         "base_model_name_or_path",
                                         "revision",
                                         "task_type",
                                         "inference_mode",
                                         "r",
                                         "target_modules",
                                         "exclude_modules",
                                         "lora_alpha",
                                         "lora_dropout",
                                         "fan_in_fan_out",
                                         "bias",
                                         "use_rslora",
                                         "modules_to_save",
                                         "init_lora_weights",
                                         "layers_to_transform",
                                         "layers_pattern",
                                         "rank_pattern",
                                         "alpha_pattern",
                                         "megatron_core",
                                         "trainable_token_indices",
                                         "loftq_config",
                                         "eva_config",
                                         "corda_config",
                                         "lora_ga_config",
                                         "qalora_group_size",
                                         "runtime_config",
                                         "lora_bias",
                                         "target_parameters",
                                         "ensure_weight_tying"};

constexpr std::string_view kTargets = "target_modules";

bool is_set(const ordered_json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && !found->is_null() && *found != false &&
         !(found->is_structured() && found->empty());
}

bool ends_with_part(const std::string& name, const std::string& part) {
  return name == part || name.ends_with("." + part);
}

/// Python's re.match of (^|.*\.)part($|\..*).
bool has_part(const std::string& name, const std::string& part) {
  return ends_with_part(name, part) || name.starts_with(part + ".") ||
         name.find("." + part + ".") != std::string::npos;
}

void refuse_foreign(const ordered_json& config, const std::string& file) {
  const std::string type =
      config.is_object() && config.contains("peft_type") ? config["peft_type"].dump() : "missing";
  if (type != "\"LORA\"") {
    throw Error(ErrorKind::kInput,
                "{}: peft_type is {}, expected \"LORA\": other adapters cannot be merged here; {}",
                file, type, kMergeInPython);
  }
  for (const ForeignSetting& foreign : kForeign) {
    if (!is_set(config, foreign.key)) continue;
    throw Error(ErrorKind::kInput, "{}: {} is {}: {}, which is not supported; {}", file,
                foreign.key, config[foreign.key].dump(), foreign.what, kMergeInPython);
  }
  const ordered_json start = config.value("init_lora_weights", ordered_json(true));
  const bool plain = start.is_boolean() || start.is_null() ||
                     std::any_of(std::begin(kPlainStarts), std::end(kPlainStarts),
                                 [&](const char* name) { return start == name; });
  if (!plain) {
    throw Error(ErrorKind::kInput,
                "{}: init_lora_weights is {}: peft changes the base's weights by it when it loads "
                "the adapter; save the adapter with path_initial_model_for_weight_conversion, or "
                "merge it in Python",
                file, start.dump());
  }
}

}  // namespace

LoraConfig::LoraConfig(const fs::path& folder) : file_((folder / "adapter_config.json").string()) {
  if (!fs::exists(file_)) {
    throw Error(ErrorKind::kInput,
                "{}: an adapter's weights without adapter_config.json, which says their scale",
                folder.string());
  }
  const auto config = parse_json<ordered_json>(read_file(file_), file_);
  refuse_foreign(config, file_);
  const double r = number(config, "r");
  rank_ = static_cast<std::int64_t>(r);
  if (r < 1.0 || r != std::floor(r))
    throw Error(ErrorKind::kInput, "{}: r is {}, expected a rank of at least 1", file_, r);
  alpha_ = number(config, "lora_alpha");
  by_root_ = is_set(config, "use_rslora");
  lora_bias_ = is_set(config, "lora_bias");
  classifies_ = config.value("task_type", ordered_json()) == "SEQ_CLS";
  ranks_ = read_patterns(config, "rank_pattern");
  alphas_ = read_patterns(config, "alpha_pattern");
  for (const auto& [pattern, value] : ranks_) {
    if (value >= 1.0 && value == std::floor(value)) continue;
    throw Error(ErrorKind::kInput, "{}: rank_pattern is {}, expected ranks of at least 1", file_,
                config["rank_pattern"].dump());
  }
  targets_ = read_modules(config, kTargets);
  excluded_ = read_modules(config, "exclude_modules");
  parameters_ = read_texts(config, "target_parameters");
  saved_ = read_texts(config, "modules_to_save");
  names_no_targets_ =
      !targets_.pattern && !targets_.all_linear && targets_.names.empty() && parameters_.empty();
  read_layers(config);
  read_token_rows(config);
  read_notes(config);
}

double LoraConfig::number(const ordered_json& config, const char* key) const {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_number()) {
    throw Error(ErrorKind::kInput, "{}: {} is {}, expected a number", file_, key,
                found == config.end() ? "missing" : found->dump());
  }
  return found->get<double>();
}

/// A regular expression with `before` and `after` around the given one.
std::regex LoraConfig::compiled(const std::string& pattern, const char* before,
                                const char* after) const {
  try {
    return std::regex(before + pattern + after);
  } catch (const std::regex_error&) {
    throw Error(ErrorKind::kInput,
                "{}: '{}' is no regular expression that is known here (ECMAScript's: without "
                "lookbehind, inline flags and named groups)",
                file_, pattern);
  }
}

/// A pattern of peft's get_pattern_key fits the end of a name, from a dot on.
LoraConfig::Patterns LoraConfig::read_patterns(const ordered_json& config, const char* key) const {
  Patterns patterns;
  if (!is_set(config, key)) return patterns;
  for (const auto& [pattern, value] : config[key].items()) {
    if (!config[key].is_object() || !value.is_number()) {
      throw Error(ErrorKind::kInput, "{}: {} is {}, expected an object of numbers", file_, key,
                  config[key].dump());
    }
    patterns.emplace_back(compiled(pattern, "(.*\\.)?(", ")"), value.get<double>());
  }
  return patterns;
}

std::vector<std::string> LoraConfig::read_texts(const ordered_json& config, const char* key) const {
  std::vector<std::string> texts;
  if (!is_set(config, key)) return texts;
  for (const ordered_json& value : config[key]) {
    if (!config[key].is_array() || !value.is_string()) {
      throw Error(ErrorKind::kInput, "{}: {} is {}, expected a list of names", file_, key,
                  config[key].dump());
    }
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

ModuleNames LoraConfig::read_modules(const ordered_json& config, std::string_view key) const {
  constexpr std::string_view kAllLinear = "all-linear";
  ModuleNames modules;
  const auto found = config.find(key);
  if (found == config.end() || !found->is_string()) {
    modules.names = read_texts(config, std::string(key).c_str());
    return modules;
  }
  const auto text = found->get<std::string>();
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
  });
  modules.all_linear = lower == kAllLinear && key == kTargets;
  if (!modules.all_linear) modules.pattern = compiled(text);
  return modules;
}

void LoraConfig::read_layers(const ordered_json& config) {
  if (is_set(config, "layers_to_transform")) {
    const ordered_json& layers = config["layers_to_transform"];
    for (const ordered_json& layer : layers.is_array() ? layers : ordered_json::array({layers})) {
      if (!layer.is_number_integer()) {
        throw Error(ErrorKind::kInput, "{}: layers_to_transform is {}, expected numbers of layers",
                    file_, layers.dump());
      }
      layers_.push_back(layer.get<std::int64_t>());
    }
  }
  if (!layers_.empty() && (targets_.pattern || targets_.all_linear)) {
    throw Error(ErrorKind::kInput,
                "{}: layers_to_transform beside target_modules {}, which peft refuses: expected a "
                "list of modules",
                file_, config["target_modules"].dump());
  }
  if (layers_.empty()) return;
  const bool one = config.value("layers_pattern", ordered_json()).is_string();
  std::vector<std::string> patterns = one ? std::vector{config["layers_pattern"].get<std::string>()}
                                          : read_texts(config, "layers_pattern");
  std::erase(patterns, "");
  // Without patterns: the first number after two parts of a name.
  if (patterns.empty()) layer_patterns_.push_back(compiled(".*?\\.[^.]*\\.(\\d+)\\..*"));
  for (const std::string& pattern : patterns)
    layer_patterns_.push_back(compiled(pattern, "(?:|.*?\\.)", "\\.(\\d+)\\..*"));
}

void LoraConfig::read_token_rows(const ordered_json& config) {
  constexpr const char* kKey = "trainable_token_indices";
  if (!is_set(config, kKey)) return;
  const ordered_json& value = config[kKey];
  const ordered_json modules =
      value.is_object() ? value : ordered_json::object({{"embed_tokens", value}});
  for (const auto& [module, rows] : modules.items()) {
    std::vector<std::int64_t>& indices = token_rows_[module];
    if (!rows.is_array() || rows.empty()) {
      throw Error(ErrorKind::kInput, "{}: {} is {}, expected lists of token ids", file_, kKey,
                  value.dump());
    }
    for (const ordered_json& row : rows) {
      if (!row.is_number_integer() || row.get<std::int64_t>() < 0) {
        throw Error(ErrorKind::kInput, "{}: {} is {}, expected token ids", file_, kKey,
                    value.dump());
      }
      indices.push_back(row.get<std::int64_t>());
    }
  }
}

void LoraConfig::read_notes(const ordered_json& config) {
  if (names_no_targets_) {
    notes_.push_back(
        "it names no target_modules: all factors of its file are merged, where peft takes the "
        "modules that it has for the base's model_type");
  }
  if (is_set(config, "fan_in_fan_out"))
    notes_.push_back("fan_in_fan_out has no effect on linear layers, as in peft");
  for (const auto& [key, value] : config.items()) {
    const bool known =
        std::find(std::begin(kNeutral), std::end(kNeutral), key) != std::end(kNeutral);
    if (!known && is_set(config, key.c_str()))
      notes_.push_back(fmt::format("peft 0.21 does not know {} and ignores it, as here", key));
  }
}

std::int64_t LoraConfig::rank_of(const std::string& key) const {
  for (const auto& [pattern, value] : ranks_) {
    if (std::regex_match(key, pattern)) return static_cast<std::int64_t>(value);
  }
  return rank_;
}

double LoraConfig::scale_of(const std::string& key) const {
  double alpha = alpha_;
  const auto fits = [&](const auto& entry) { return std::regex_match(key, entry.first); };
  const auto own = std::find_if(alphas_.begin(), alphas_.end(), fits);
  if (own != alphas_.end()) alpha = own->second;
  const auto rank = static_cast<double>(rank_of(key));
  return by_root_ ? alpha / std::sqrt(rank) : alpha / rank;
}

bool LoraConfig::targets(const std::string& module) const {
  const auto is_end = [&](const std::string& name) { return ends_with_part(module, name); };
  const bool excluded = excluded_.pattern
                            ? std::regex_match(module, *excluded_.pattern)
                            : std::any_of(excluded_.names.begin(), excluded_.names.end(), is_end);
  if (excluded || saves(module)) return false;
  if (names_no_targets_) return true;
  if (targets_.pattern) return std::regex_match(module, *targets_.pattern);
  if (targets_.all_linear) {
    return !ends_with_part(module, "lm_head") && !ends_with_part(module, "embed_tokens") &&
           !(classifies_ && is_end("score"));
  }
  const bool listed = std::any_of(targets_.names.begin(), targets_.names.end(), is_end);
  // A module under its full name is taken whatever its layer.
  const bool exact =
      std::find(targets_.names.begin(), targets_.names.end(), module) != targets_.names.end();
  return exact || (listed && in_chosen_layer(module));
}

bool LoraConfig::in_chosen_layer(const std::string& module) const {
  if (layers_.empty()) return true;
  for (const std::regex& pattern : layer_patterns_) {
    std::smatch match;
    if (!std::regex_match(module, match, pattern)) continue;
    const std::int64_t layer = parse_integer(match[pattern.mark_count()].str());
    return std::find(layers_.begin(), layers_.end(), layer) != layers_.end();
  }
  return false;
}

bool LoraConfig::targets_parameter(const std::string& name) const {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const std::string& part) { return ends_with_part(name, part); });
}

bool LoraConfig::saves(const std::string& module) const {
  const auto has = [&](const std::string& part) { return has_part(module, part); };
  return std::any_of(saved_.begin(), saved_.end(), has) || (classifies_ && has("score"));
}

std::optional<std::vector<std::int64_t>> LoraConfig::token_rows(const std::string& module) const {
  for (const auto& [name, rows] : token_rows_) {
    if (ends_with_part(module, name)) return rows;
  }
  return std::nullopt;
}

}  // namespace charm::engine
