#include "charm/model/adapter.h"

#include <fmt/ranges.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"

namespace charm::model {
namespace {

constexpr const char* kAdapterConfig = "adapter_config.json";

std::vector<std::string> present(const fs::path& folder, std::initializer_list<const char*> names) {
  std::vector<std::string> found;
  for (const char* name : names) {
    std::error_code error;
    if (fs::exists(folder / name, error)) found.emplace_back(name);
  }
  return found;
}

/// What adapter_config.json says under `key`.
std::string setting(const fs::path& folder, const char* key, const std::string& fallback) {
  std::error_code error;
  if (!fs::exists(folder / kAdapterConfig, error)) return fallback;
  const std::string text = read_file(folder / kAdapterConfig);
  if (nests_deeper_than(text, kMaxJsonDepth)) return fallback;
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : fallback;
}

}  // namespace

bool leave_out_adapter(const fs::path& model_dir, AdapterChoice choice) {
  const std::vector<std::string> files =
      present(model_dir, {kAdapterConfig, "adapter_model.safetensors", "adapter_model.bin"});
  if (files.empty()) return false;
  const std::string type = setting(model_dir, "peft_type", "PEFT");
  const std::string base = setting(model_dir, "base_model_name_or_path", "an unnamed base model");
  const bool has_weights =
      !present(model_dir, {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                           "pytorch_model.bin.index.json"})
           .empty();
  if (!has_weights) {
    throw Error(ErrorKind::kInput,
                "{}: holds a PEFT adapter ({}, of {}) and no weights; adapters cannot be applied "
                "yet: load base model and adapter in Python, merge them (merge_and_unload()), "
                "save_pretrained() and give that folder",
                model_dir.string(), type, base);
  }
  if (choice == AdapterChoice::kRefuse) {
    throw Error(ErrorKind::kInput,
                "{}: holds a PEFT adapter ({}, of {}: {}) beside its weights; adapters cannot be "
                "applied yet: merge it in Python (merge_and_unload(), save_pretrained()) and give "
                "that folder, or use the weights without it: --adapter none",
                model_dir.string(), type, base, fmt::join(files, ", "));
  }
  return true;
}

}  // namespace charm::model
