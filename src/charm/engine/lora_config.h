#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::engine {

/// Modules by their names or the ends of them, or by a regular expression that fits the whole name.
struct ModuleNames {
  std::vector<std::string> names;
  std::optional<std::regex> pattern;
  bool all_linear = false;  ///< "all-linear"
};

/// adapter_config.json of a LoRA adapter. Names of modules are those of the adapter's file, without
/// "base_model.model.". Rules: peft 0.21, check_target_module_exists and get_pattern_key.
/// Immutable; thread-safe.
class LoraConfig {
 public:
  /// Throws kInput for other kinds of adapters, settings that make an adapter more than a sum, and
  /// settings that peft refuses.
  explicit LoraConfig(const std::filesystem::path& folder);

  const std::string& file() const { return file_; }
  std::int64_t rank() const { return rank_; }
  /// Of a module, or a parameter of `target_parameters`.
  std::int64_t rank_of(const std::string& key) const;
  double scale_of(const std::string& key) const;
  bool factors_have_biases() const { return lora_bias_; }

  /// Whether peft puts factors on the module when it loads the adapter; it ignores others'.
  bool targets(const std::string& module) const;
  bool targets_parameter(const std::string& name) const;
  /// Whether it names the modules, not only what they have in common.
  bool lists_targets() const { return !targets_.all_linear && !names_no_targets_; }
  /// Whether `modules_to_save`, or what peft adds to it for classifiers, has the module.
  bool saves(const std::string& module) const;
  /// The rows of `trainable_token_indices` of a module; none where it is not listed.
  std::optional<std::vector<std::int64_t>> token_rows(const std::string& module) const;

  /// What has no effect here, in words.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  using Patterns = std::vector<std::pair<std::regex, double>>;
  double number(const nlohmann::ordered_json& config, const char* key) const;
  Patterns read_patterns(const nlohmann::ordered_json& config, const char* key) const;
  std::regex compiled(const std::string& pattern, const char* before = "",
                      const char* after = "") const;
  ModuleNames read_modules(const nlohmann::ordered_json& config, std::string_view key) const;
  std::vector<std::string> read_texts(const nlohmann::ordered_json& config, const char* key) const;
  void read_layers(const nlohmann::ordered_json& config);
  void read_token_rows(const nlohmann::ordered_json& config);
  void read_notes(const nlohmann::ordered_json& config);
  bool in_chosen_layer(const std::string& module) const;

  std::string file_;
  std::int64_t rank_ = 0;
  double alpha_ = 0.0;
  bool by_root_ = false;  ///< rsLoRA
  bool lora_bias_ = false;
  bool classifies_ = false;  ///< task_type SEQ_CLS
  Patterns ranks_, alphas_;
  ModuleNames targets_, excluded_;
  bool names_no_targets_ = false;
  std::vector<std::string> parameters_, saved_;
  std::vector<std::int64_t> layers_;        ///< layers_to_transform; empty: all
  std::vector<std::regex> layer_patterns_;  ///< the number of a layer is their last group
  std::map<std::string, std::vector<std::int64_t>> token_rows_;
  std::vector<std::string> notes_;
};

}  // namespace charm::engine
