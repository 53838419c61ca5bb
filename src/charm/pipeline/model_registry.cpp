#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/pipeline/sources.h"

namespace charm::pipeline {
namespace {

constexpr std::string_view kJson = ".json";

/// Position of NAME's colon; npos without one.
std::size_t colon_of(const std::string& source) {
  const std::size_t at = source.rfind(fmt::format("{}:", kJson));
  return at == std::string::npos ? at : at + kJson.size();
}

std::string text_of(const nlohmann::json& entry, const char* key, const fs::path& file,
                    std::size_t index) {
  const auto at = entry.is_object() ? entry.find(key) : entry.end();
  if (!entry.is_object() || at == entry.end() || !at->is_string() ||
      at->get_ref<const std::string&>().empty()) {
    throw Error(
        ErrorKind::kInput,
        "{}: model {}: expected an object with strings model_name and model_path, found no {}",
        file.string(), index + 1, key);
  }
  return at->get<std::string>();
}

fs::path resolve_model_path(const std::string& model_path, const fs::path& file) {
  std::error_code ignored;
  for (const fs::path& path : {file.parent_path() / model_path, fs::path(model_path)}) {
    if (fs::exists(path, ignored)) return path.lexically_normal();
  }
  const bool is_repository = std::count(model_path.begin(), model_path.end(), '/') == 1 &&
                             model_path.front() != '/' && model_path.front() != '.' &&
                             model_path.back() != '/';
  if (is_repository) return "hub:" + model_path;
  throw Error(ErrorKind::kIo,
              "{}: model_path '{}' does not exist, neither beside this file nor in the working "
              "directory, and is no OWNER/NAME of the Hub",
              file.string(), model_path);
}

}  // namespace

bool is_registry_source(const fs::path& model) {
  if (model.filename() == "config.json") return false;  // a model's own
  const std::string text = model.string();
  return text.ends_with(kJson) || colon_of(text) != std::string::npos;
}

std::string registered_name(const fs::path& source) {
  const std::string text = source.string();
  const std::size_t colon = colon_of(text);
  return colon == std::string::npos ? "" : text.substr(colon + 1);
}

fs::path registered_model(const fs::path& source) {
  const std::string name = registered_name(source);
  const fs::path file = source.string().substr(0, colon_of(source.string()));
  const auto json = parse_json(read_file(file), file.string());
  if (!json.is_array() || json.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: expected a list of models with model_name and model_path (the original's "
                "rm_config.json), found {}",
                file.string(), json.is_array() ? "an empty one" : json.type_name());
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < json.size(); ++i) {
    names.push_back(text_of(json[i], "model_name", file, i));
    const std::string path = text_of(json[i], "model_path", file, i);
    if (names.back() == name || (name.empty() && json.size() == 1))
      return resolve_model_path(path, file);
  }
  if (name.empty()) {
    throw Error(ErrorKind::kUsage, "{}: it lists {} models; choose one as {}:NAME: {}",
                file.string(), names.size(), file.string(), fmt::join(names, ", "));
  }
  throw Error(ErrorKind::kUsage, "{}: no model '{}'; nearest names: {}", file.string(), name,
              fmt::join(nearest_names(name, names), ", "));
}

}  // namespace charm::pipeline
