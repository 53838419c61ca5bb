#include "charm/text/special_tokens.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"

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

// An added token in tokenizer.json's form, from a string or an object with `content`; null for
// anything else.
nlohmann::json added_token(const nlohmann::json& value, bool special) {
  nlohmann::json token = {{"content", ""},   {"single_word", false},   {"lstrip", false},
                          {"rstrip", false}, {"normalized", !special}, {"special", special}};
  if (value.is_string()) {
    token["content"] = value;
  } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    for (auto& [name, member] : token.items()) {
      if (value.contains(name) && value[name].type() == member.type()) member = value[name];
    }
    if (special) token["special"] = true;
  } else {
    return nullptr;
  }
  return token;
}

// Parses an id that configurations write as a string; kInput for anything else.
std::int64_t parse_id(const std::string& text, const fs::path& file) {
  const bool is_number = !text.empty() && text.size() < 10 &&
                         text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number) {
    throw Error(ErrorKind::kInput, "{}: expected a token id, found '{}'", file.string(), text);
  }
  return std::stoll(text);
}

}  // namespace

nlohmann::json read_added_tokens(const fs::path& model_dir) {
  const nlohmann::json config = read_config(model_dir, "tokenizer_config.json");
  const nlohmann::json map = read_config(model_dir, "special_tokens_map.json");
  const auto decoder = config.find("added_tokens_decoder");
  const bool old_form = decoder == config.end() || !decoder->is_object();

  // Special tokens in transformers' order (SPECIAL_TOKENS_ATTRIBUTES), then those without a role.
  std::vector<nlohmann::json> special_tokens;
  const auto add_special = [&](const nlohmann::json& value) {
    if (nlohmann::json token = added_token(value, /*special=*/true); !token.is_null())
      special_tokens.push_back(std::move(token));
  };
  const auto member = [&](const char* name) {
    if (old_form && map.contains(name)) return map[name];
    return config.value(name, nlohmann::json());
  };
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    add_special(member(name));
  }
  // transformers 5: extra_special_tokens, a list or an object of names, replaces the older key.
  nlohmann::json extra = member("extra_special_tokens");
  if (!extra.is_structured()) extra = member("additional_special_tokens");
  if (extra.is_structured()) {
    for (const nlohmann::json& value : extra) add_special(value);
  }

  std::map<std::int64_t, nlohmann::json> by_id;
  if (!old_form) {
    for (const auto& [id, value] : decoder->items()) {
      nlohmann::json token = added_token(value, /*special=*/false);
      if (token.is_null()) {
        throw Error(ErrorKind::kInput, "{}: added_tokens_decoder: entry {} has no content",
                    (model_dir / "tokenizer_config.json").string(), id);
      }
      by_id[parse_id(id, model_dir / "tokenizer_config.json")] = std::move(token);
    }
  } else {
    std::set<std::string> special;
    for (const nlohmann::json& token : special_tokens)
      special.insert(token["content"].get<std::string>());
    const nlohmann::json added = read_config(model_dir, "added_tokens.json");
    for (const auto& [content, id] : added.items()) {
      if (!id.is_number_unsigned()) {
        throw Error(ErrorKind::kInput, "{}: '{}': expected a token id, found {}",
                    (model_dir / "added_tokens.json").string(), content, id.dump());
      }
      by_id[id.get<std::int64_t>()] = added_token(content, special.contains(content));
    }
  }

  nlohmann::json tokens = nlohmann::json::array();
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  for (nlohmann::json& token : special_tokens) tokens.push_back(std::move(token));
  return tokens;
}

nlohmann::json read_config(const fs::path& model_dir, const char* file) {
  const fs::path path = model_dir / file;
  if (!fs::exists(path)) return nlohmann::json::object();
  nlohmann::json config = parse_json(read_file(path), path.string());
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
  // Newer folders keep model-specific tokens ("image_token") in a separate object.
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
