#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace charm {
class OptionTable;
}

namespace charm::engine {

/// How a model's folder is read: with which PEFT adapter, over which base, with which head.
struct ModelSourceOptions {
  /// PEFT folder to merge into the weights; "none": the weights without the adapter beside them;
  /// empty: an adapter beside weights is an error, because scores with it and without it differ.
  std::string adapter;
  /// Base model of an adapter; empty: as its adapter_config.json says.
  std::filesystem::path base_model;
  /// "auto": the model's own head; "lm-logit:ID": a causal LM's logit of a vocabulary entry.
  std::string head = "auto";
};

/// `--adapter` and `--base-model`.
void describe_adapter(OptionTable& table, ModelSourceOptions& options);

/// Those and `--head`.
void describe_source(OptionTable& table, ModelSourceOptions& options);

/// A model on disk: the folders that its weights, adapter, tokenizer and template come from.
struct ModelSource {
  std::filesystem::path folder;                    ///< config.json and weights
  std::optional<std::filesystem::path> adapter{};  ///< PEFT folder that is merged at load
  bool adapter_left_out = false;                   ///< one lies beside the weights (--adapter none)
  std::optional<std::int32_t> logit_id{};          ///< --head lm-logit:ID
  std::filesystem::path tokenizer_folder{};        ///< the adapter's own where it has one
  std::filesystem::path template_folder{};         ///< the same for the chat template

  /// Everything that scores depend on: the folder, and the adapter's.
  std::vector<std::filesystem::path> folders() const;
  /// For manifests: "merged", "none" if one is left out; empty without any.
  std::string adapter_text() const;
};

/// Finds the folders of a model. `model_dir` may be an adapter's folder; its base is
/// `options.base_model`, or base_model_name_or_path of adapter_config.json, looked up from the
/// adapter's folder, then from the working directory. Throws kInput where an adapter lies beside
/// weights and the options do not say whether to use it, for two adapters, and for a base that is
/// not there.
///
/// transformers 5.17 applies an adapter beside weights in from_pretrained when peft is installed,
/// and loads the weights alone, without a word, when it is not.
ModelSource resolve_model_source(const std::filesystem::path& model_dir,
                                 const ModelSourceOptions& options);

/// What the files of a source hold besides the config, for reports.
struct StoredModel {
  std::int64_t weights_bytes = 0;       ///< size of the files of its weights, an adapter's included
  std::string adapter;                  ///< what is merged; empty without an adapter
  std::vector<std::string> notes;       ///< what is unusual about the weights, in words
  std::vector<std::string> warnings{};  ///< what of the adapter is left out
};

/// Opens the files; a folder without weights holds nothing.
StoredModel describe_stored(const ModelSource& source);

/// Whether the folder holds files of a PEFT adapter.
bool has_adapter(const std::filesystem::path& folder);

/// base_model_name_or_path of an adapter; empty where adapter_config.json has none.
std::string base_model_name(const std::filesystem::path& adapter);

/// The folder that a base_model_name_or_path means; empty if there is none.
std::optional<std::filesystem::path> find_base_model(const std::filesystem::path& adapter,
                                                     const std::string& name);

}  // namespace charm::engine
