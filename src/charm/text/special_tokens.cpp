#include "charm/text/special_tokens.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::text {
namespace {

// "<s>" or {"content": "<s>", ...}; anything else (null, a flag such as add_bos_token) is no token.
void add_token(SpecialTokens& tokens, const std::string& name, const nlohmann::json& value) {
  if (value.is_string()) {
    tokens[name] = value.get<std::string>();
  } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    tokens[name] = value["content"].get<std::string>();
  }
}

bool names_a_token(std::string_view name) { return name.ends_with("_token"); }

}  // namespace

nlohmann::json read_config(const fs::path& model_dir, const char* file) {
  const fs::path path = model_dir / file;
  if (!fs::exists(path)) return nlohmann::json::object();
  nlohmann::json config;
  try {
    config = nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::kInput, "{}: not JSON: {}", path.string(), e.what());
  }
  if (!config.is_object()) {
    throw Error(ErrorKind::kInput, "{}: expected a JSON object, found {}", path.string(),
                config.type_name());
  }
  return config;
}

SpecialTokens read_special_tokens(const fs::path& model_dir) {
  const nlohmann::json config = read_config(model_dir, "tokenizer_config.json");
  const nlohmann::json map = read_config(model_dir, "special_tokens_map.json");
  const bool old_form = !config.contains("added_tokens_decoder");

  SpecialTokens tokens;
  for (const auto& [name, value] : config.items()) {
    if (names_a_token(name)) add_token(tokens, name, value);
  }
  // Newer folders keep tokens of one model alone ("image_token") in an object of their own.
  if (const auto extra = config.find("extra_special_tokens");
      extra != config.end() && extra->is_object()) {
    for (const auto& [name, value] : extra->items()) add_token(tokens, name, value);
  }
  for (const auto& [name, value] : map.items()) {
    if (names_a_token(name) && (old_form || !config.contains(name))) add_token(tokens, name, value);
  }
  return tokens;
}

}  // namespace charm::text
