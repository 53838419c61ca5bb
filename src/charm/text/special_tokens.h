#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace charm::text {

/// Special tokens by their names in chat templates: "bos_token", "eos_token", "pad_token",
/// "unk_token", ...; tokens a model does not have are absent (undefined in its template).
using SpecialTokens = std::map<std::string, std::string>;

/// Reads them from tokenizer_config.json (a string or an object with `content`) and
/// special_tokens_map.json. As in transformers, the latter takes precedence in folders of the old
/// form, whose tokenizer_config.json has no `added_tokens_decoder`.
/// Throws kInput when a file is not valid JSON.
SpecialTokens read_special_tokens(const std::filesystem::path& model_dir);

/// Added tokens of the configuration files: the list that transformers 5 passes to `add_tokens`
/// when it loads the folder, objects as in tokenizer.json's `added_tokens` without id, in order of
/// the ids they get: `added_tokens_decoder` of tokenizer_config.json, or added_tokens.json in
/// folders of the old form; then special tokens (bos_token, ..., additional_special_tokens).
nlohmann::json read_added_tokens(const std::filesystem::path& model_dir);

/// `model_dir`/`file` as a JSON object; an empty object when the file is absent. Throws kInput when
/// it holds anything else.
nlohmann::json read_config(const std::filesystem::path& model_dir, const char* file);

}  // namespace charm::text
