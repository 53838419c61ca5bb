#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm::text {

/// Whether the tokenizer's post-processor adds its own tokens (BOS, EOS). Special tokens in the
/// text map to their ids either way.
enum class AddSpecialTokens { kNo, kYes };

/// Settings of the configuration files beside tokenizer.json.
struct TokenizerExtras {
  std::string added_tokens_json = "[]";  ///< see `read_added_tokens`
  bool split_special_tokens = false;     ///< tokenise special tokens in a text as text
};

/// A Hugging Face fast tokenizer, loaded from tokenizer.json without its truncation and padding
/// sections: those are settings of a training run and would silently truncate texts. Immutable;
/// thread-safe.
class Tokenizer {
 public:
  /// `model_dir`/tokenizer.json with the added tokens and `split_special_tokens` of the
  /// configuration files beside it. Throws kInput when the folder has none; where it holds a
  /// SentencePiece model or vocabulary files instead, the message names the command that converts
  /// them.
  static Tokenizer load(const std::filesystem::path& model_dir);
  /// `name` is used in error messages.
  static Tokenizer from_json(std::string_view json, std::string name,
                             const TokenizerExtras& extras = {});

  /// Throws kInput when `text` is not valid UTF-8 (naming the byte).
  std::vector<std::int32_t> encode(std::string_view text, AddSpecialTokens specials) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const;

  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(std::int32_t id) const;
  /// Entries including added tokens.
  std::size_t vocab_size() const { return vocab_size_; }

 private:
  struct Handle;
  struct HandleDeleter {
    void operator()(Handle* handle) const;
  };
  Tokenizer(std::unique_ptr<Handle, HandleDeleter> handle, std::size_t vocab_size);

  std::unique_ptr<Handle, HandleDeleter> handle_;
  std::size_t vocab_size_ = 0;
};

}  // namespace charm::text
