#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "charm/text/conversation_encoder.h"

namespace charm::text {

/// The input of bidirectional encoders: one text, or a pair of texts, with the special tokens that
/// the tokenizer's post-processor puts around them ([CLS] prompt [SEP] response [SEP]). Immutable;
/// thread-safe.
class TextPair {
 public:
  /// From the post-processor of `model_dir`/tokenizer.json. Throws kInput where it makes no pair:
  /// expected are TemplateProcessing and BertProcessing.
  static TextPair load(const std::filesystem::path& model_dir);

  /// Two texts; the first is the prompt of the result. What is too long is cut as by transformers'
  /// truncation "longest_first" with `truncation` as its side: the longer text first, then both.
  /// Special tokens stay.
  EncodedConversation pair(std::vector<std::int32_t> prompt_ids,
                           std::vector<std::int32_t> response_ids, std::int64_t max_tokens,
                           Truncation truncation) const;

  /// One text, without a prompt. Special tokens that it has at its ends already are not repeated.
  EncodedConversation single(std::vector<std::int32_t> ids, std::int64_t max_tokens,
                             Truncation truncation) const;

  /// "[CLS] {{ prompt }} [SEP] {{ response }} [SEP]": for people and manifests.
  const std::string& source() const { return source_; }

 private:
  std::vector<std::int32_t> single_before_, single_after_;
  std::vector<std::int32_t> before_, between_, after_;
  std::string source_;
};

/// The text of a prompt in a pair. Throws kInput for one that is not a single text: with several
/// turns, a system message, tools, or a list of parts other than text.
const std::string& pair_prompt(const Conversation& prompt);

/// The text of a response in a pair. Throws kInput for one that is not a text.
const std::string& pair_response(const Message& response);

/// Throws kInput for a conversation of too many tokens with Truncation::kError.
[[noreturn]] void throw_too_long(std::int64_t num_tokens, std::int64_t max_tokens);

}  // namespace charm::text
