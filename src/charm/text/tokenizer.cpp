#include "charm/text/tokenizer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/text/bridge.h"
#include "charm/text/special_tokens.h"

namespace charm::text {

struct Tokenizer::Handle {
  charm_text_tokenizer* tokenizer = nullptr;
  std::string name;
  ~Handle() { charm_text_tokenizer_free(tokenizer); }
};

void Tokenizer::HandleDeleter::operator()(Handle* handle) const { delete handle; }

Tokenizer::Tokenizer(std::unique_ptr<Handle, HandleDeleter> handle, std::size_t vocab_size)
    : handle_(std::move(handle)), vocab_size_(vocab_size) {}

Tokenizer Tokenizer::load(const fs::path& model_dir) {
  if (!fs::is_directory(model_dir)) {
    throw Error(ErrorKind::kIo,
                "{}: no such folder; a model folder with tokenizer.json is expected",
                model_dir.string());
  }
  const fs::path file = model_dir / "tokenizer.json";
  if (fs::exists(file)) {
    const nlohmann::json split = read_config(model_dir, "tokenizer_config.json")
                                     .value("split_special_tokens", nlohmann::json());
    // read_config accepts valid UTF-8 only, so dump() does not throw.
    return from_json(read_file(file), file.string(),
                     {.added_tokens_json = read_added_tokens(model_dir).dump(),
                      .split_special_tokens = split.is_boolean() && split.get<bool>()});
  }
  for (const char* other :
       {"tokenizer.model", "tokenizer.model.v3", "spm.model", "vocab.json", "vocab.txt"}) {
    if (!fs::exists(model_dir / other)) continue;
    // Not with transformers 5 for SentencePiece models: it converts LLaMA's and Mistral's
    // differently.
    const bool sentencepiece = std::string_view(other).starts_with("tokenizer.model");
    // transformers 5 leaves the model's normalisation out of a DeBERTa's tokenizer.json.
    const bool deberta = std::string_view(other) == "spm.model";
    const std::string command =
        deberta ? fmt::format(
                      "python -c \"from transformers import AutoTokenizer; "
                      "AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\" (with pip "
                      "install 'transformers<5' sentencepiece protobuf tiktoken torch)",
                      model_dir.string())
        : sentencepiece ? fmt::format(
                              "python3 tools/tokenizer_json.py '{}' (in charm's sources; needs pip "
                              "install sentencepiece protobuf)",
                              model_dir.string())
                        : fmt::format(
                              "python -c \"from transformers import AutoTokenizer; "
                              "AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\"",
                              model_dir.string());
    throw Error(ErrorKind::kInput,
                "{}: found {}, but tokenizer.json is expected; convert it once with {}",
                model_dir.string(), other, command);
  }
  throw Error(ErrorKind::kInput,
              "{}: tokenizer.json is expected, but the folder holds no tokenizer; copy it from the "
              "model's origin",
              model_dir.string());
}

Tokenizer Tokenizer::from_json(std::string_view json, std::string name,
                               const TokenizerExtras& extras) {
  bridge::require_abi();
  std::unique_ptr<Handle, HandleDeleter> handle(new Handle{nullptr, std::move(name)});
  const std::string& added = extras.added_tokens_json;
  bridge::check(charm_text_tokenizer_new(json.data(), json.size(), added.data(), added.size(),
                                         extras.split_special_tokens ? 1 : 0, &handle->tokenizer),
                handle->name + ": not a valid tokenizer");
  std::size_t vocab_size = 0;
  bridge::check(charm_text_tokenizer_vocab_size(handle->tokenizer, &vocab_size), handle->name);
  return Tokenizer(std::move(handle), vocab_size);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            AddSpecialTokens specials) const {
  charm_text_ids ids{nullptr, 0};
  bridge::check(charm_text_tokenizer_encode(handle_->tokenizer, text.data(), text.size(),
                                            specials == AddSpecialTokens::kYes ? 1 : 0, &ids),
                handle_->name);
  return bridge::take(ids);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  charm_text_string text{nullptr, 0};
  bridge::check(charm_text_tokenizer_decode(handle_->tokenizer, ids.data(), ids.size(),
                                            skip_special_tokens ? 1 : 0, &text),
                handle_->name);
  return bridge::take(text);
}

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  std::int32_t id = -1;
  bridge::check(
      charm_text_tokenizer_token_to_id(handle_->tokenizer, token.data(), token.size(), &id),
      handle_->name);
  if (id < 0) return std::nullopt;
  return id;
}

std::optional<std::string> Tokenizer::id_to_token(std::int32_t id) const {
  std::int32_t found = 0;
  charm_text_string token{nullptr, 0};
  bridge::check(charm_text_tokenizer_id_to_token(handle_->tokenizer, id, &found, &token),
                handle_->name);
  if (found == 0) return std::nullopt;
  return bridge::take(token);
}

}  // namespace charm::text
