#include "charm/engine/model_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/option_table.h"
#include "charm/base/parse_json.h"
#include "charm/engine/weights_folder.h"

namespace charm::engine {
namespace {

constexpr const char* kAdapterConfig = "adapter_config.json";
constexpr const char* kAdapterFiles[] = {kAdapterConfig, "adapter_model.safetensors",
                                         "adapter_model.bin"};
constexpr std::string_view kNoAdapter = "none";
constexpr std::string_view kLogitHead = "lm-logit:";

bool has_file(const fs::path& folder, const char* name) {
  std::error_code error;
  return fs::exists(folder / name, error);
}

/// What adapter_config.json says under `key`.
std::string setting(const fs::path& folder, const char* key) {
  if (!has_file(folder, kAdapterConfig)) return "";
  const std::string text = read_file(folder / kAdapterConfig);
  if (nests_deeper_than(text, kMaxJsonDepth)) return "";
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The adapter in a folder, for messages: "PEFT adapter (LORA, of org/base)".
std::string described(const fs::path& folder) {
  const std::string type = setting(folder, "peft_type"), base = base_model_name(folder);
  return fmt::format("PEFT adapter ({}, of {})", type.empty() ? "of an unnamed kind" : type,
                     base.empty() ? "an unnamed base model" : base);
}

[[noreturn]] void throw_two_adapters(const fs::path& first, const fs::path& second) {
  throw Error(
      ErrorKind::kInput,
      "{}: holds a {}, and so does {}: only one adapter can be applied; merge one in Python "
      "(merge_and_unload(), save_pretrained()) and give that folder",
      first.string(), described(first), second.string());
}

/// A PEFT adapter is its config and its weights.
void require_adapter(const fs::path& adapter) {
  constexpr const char* kExpected =
      "expected the folder of a PEFT adapter, with adapter_config.json and "
      "adapter_model.safetensors (or .bin)";
  std::error_code error;
  if (!fs::exists(adapter, error))
    throw Error(ErrorKind::kIo, "--adapter {}: no such folder; {}", adapter.string(), kExpected);
  if (!fs::is_directory(adapter, error))
    throw Error(ErrorKind::kIo, "--adapter {}: is a file; {}", adapter.string(), kExpected);
  if (has_file(adapter, kAdapterConfig)) return;
  throw Error(ErrorKind::kInput, "--adapter {}: holds no {}; {}", adapter.string(), kAdapterConfig,
              kExpected);
}

void require_one_adapter(const fs::path& model_dir, const fs::path& adapter) {
  std::error_code error;
  if (has_adapter(model_dir) && !fs::equivalent(model_dir, adapter, error))
    throw_two_adapters(model_dir, adapter);
}

fs::path find_base(const fs::path& adapter, const ModelSourceOptions& options) {
  const std::string name = base_model_name(adapter);
  if (!options.base_model.empty()) {
    if (!fs::is_directory(options.base_model)) {
      throw Error(ErrorKind::kIo,
                  "--base-model {}: not a folder; expected the model {} that {} was "
                  "trained on",
                  options.base_model.string(), name, adapter.string());
    }
    return options.base_model;
  }
  if (name.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: names no base model (base_model_name_or_path); give its folder: --base-model "
                "DIR",
                (adapter / kAdapterConfig).string());
  }
  if (const auto base = find_base_model(adapter, name)) return *base;
  throw Error(ErrorKind::kInput,
              "{}: holds a {} and no weights, and its base model '{}' is a folder neither below {} "
              "nor below the working directory; give it: --base-model DIR, or --base-model "
              "hub:OWNER/NAME to download it",
              adapter.string(), described(adapter), name, adapter.string());
}

/// The source of an adapter's folder, or of weights with an adapter of another folder.
ModelSource with_adapter(const fs::path& folder, const fs::path& adapter) {
  ModelSource source{.folder = folder, .adapter = adapter};
  source.tokenizer_folder = has_file(adapter, "tokenizer.json") ? adapter : folder;
  const nlohmann::json config =
      has_file(adapter, "tokenizer_config.json")
          ? nlohmann::json::parse(read_file(adapter / "tokenizer_config.json"), nullptr, false)
          : nlohmann::json();
  const bool own_template = has_file(adapter, "chat_template.jinja") ||
                            (config.is_object() && config.contains("chat_template"));
  source.template_folder = own_template ? adapter : folder;
  return source;
}

ModelSource resolve_folders(const fs::path& model_dir, const ModelSourceOptions& options) {
  const bool wants_adapter = !options.adapter.empty() && options.adapter != kNoAdapter;
  const fs::path adapter = options.adapter;
  if (wants_adapter) {
    require_adapter(adapter);
    require_one_adapter(model_dir, adapter);
  }
  const bool weights_here = has_weights(model_dir);
  if (has_adapter(model_dir) && !weights_here) {
    if (options.adapter == kNoAdapter) {
      throw Error(ErrorKind::kInput,
                  "{}: holds a {} and no weights, so nothing is left without it; give the base "
                  "model's folder instead",
                  model_dir.string(), described(model_dir));
    }
    const fs::path base = find_base(model_dir, options);
    if (has_adapter(base)) throw_two_adapters(base, model_dir);
    return with_adapter(base, model_dir);
  }
  if (!options.base_model.empty()) {
    throw Error(ErrorKind::kUsage,
                "--base-model: {} is no adapter's folder; the option names the base of an adapter",
                model_dir.string());
  }
  if (wants_adapter) return with_adapter(model_dir, adapter);
  if (has_adapter(model_dir) && options.adapter.empty()) {
    std::vector<std::string> files;
    for (const char* name : kAdapterFiles) {
      if (has_file(model_dir, name)) files.emplace_back(name);
    }
    throw Error(ErrorKind::kInput,
                "{}: holds a {} beside its weights ({}), and scores with it and without it differ: "
                "--adapter {} applies it, --adapter none uses the weights alone",
                model_dir.string(), described(model_dir), fmt::join(files, ", "),
                model_dir.string());
  }
  return {.folder = model_dir,
          .adapter_left_out = has_adapter(model_dir),
          .tokenizer_folder = model_dir,
          .template_folder = model_dir};
}

std::optional<std::int32_t> read_head(const std::string& head) {
  if (head == "auto") return std::nullopt;
  if (head.starts_with(kLogitHead)) {
    std::int32_t id = 0;
    const char* end = head.data() + head.size();
    const auto parsed = std::from_chars(head.data() + kLogitHead.size(), end, id);
    if (parsed.ec == std::errc() && parsed.ptr == end && id >= 0) return id;
  }
  throw Error(ErrorKind::kUsage, "--head {}: expected auto or lm-logit:ID, with a token's id",
              head);
}

}  // namespace

bool has_adapter(const fs::path& folder) {
  return std::any_of(std::begin(kAdapterFiles), std::end(kAdapterFiles),
                     [&](const char* name) { return has_file(folder, name); });
}

std::string base_model_name(const fs::path& adapter) {
  return setting(adapter, "base_model_name_or_path");
}

std::optional<fs::path> find_base_model(const fs::path& adapter, const std::string& name) {
  std::error_code error;
  for (const fs::path& path : {adapter / name, fs::path(name)}) {
    if (fs::is_directory(path, error)) return path.lexically_normal();
  }
  return std::nullopt;
}

std::vector<fs::path> ModelSource::folders() const {
  std::vector<fs::path> folders{folder};
  std::error_code error;
  if (adapter && !fs::equivalent(folder, *adapter, error)) folders.push_back(*adapter);
  return folders;
}

std::string ModelSource::adapter_text() const {
  if (adapter) return "merged";
  return adapter_left_out ? std::string(kNoAdapter) : "";
}

ModelSource resolve_model_source(const fs::path& model_dir, const ModelSourceOptions& options) {
  const std::optional<std::int32_t> logit_id = read_head(options.head);
  ModelSource source = resolve_folders(model_dir, options);
  source.logit_id = logit_id;
  return source;
}

void describe_adapter(OptionTable& table, ModelSourceOptions& options) {
  Option adapter{.name = "adapter",
                 .value_name = "DIR|none",
                 .help =
                     "PEFT adapter (LoRA) to merge into the weights, in float32; its own tokenizer "
                     "and chat template are preferred. none uses the weights without the adapter "
                     "that lies beside them; without this option such a folder is an error."};
  adapter.is_path = true;
  adapter.value = [&options]() -> OptionValue {
    return options.adapter.empty() ? OptionValue() : OptionValue(options.adapter);
  };
  adapter.assign = [&options](const std::vector<std::string>& values) {
    options.adapter = values.front();
  };
  table.add(std::move(adapter))
      .path("base-model", options.base_model, "DIR",
            "Base model of the adapter given as the model; by default base_model_name_or_path of "
            "its adapter_config.json, relative to the adapter's folder or the working directory.");
}

void describe_source(OptionTable& table, ModelSourceOptions& options) {
  describe_adapter(table, options);
  table.text("head", options.head, "auto|lm-logit:ID",
             "Reward head. auto takes the model's own; lm-logit:ID takes a causal language model's "
             "logit of token ID after the conversation, as NVIDIA's Nemotron rewards are read.");
}

}  // namespace charm::engine
