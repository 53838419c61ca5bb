#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/records/conversation.h"
#include "charm/text/chat_template.h"
#include "charm/text/tokenizer.h"

namespace charm::text {

/// What happens to a conversation longer than the limit.
enum class Truncation {
  kLeft,   ///< keep the last tokens (what RM trainers usually do)
  kRight,  ///< keep the first tokens
  kError,  ///< the row gets an error
};

/// Who writes the beginning-of-sequence token.
enum class BosPolicy {
  kOnce,        ///< exactly once: if the template writes it, the tokenizer does not add another
  kAsTemplate,  ///< tokenizer and template each do as they like (reproduces tools that double it)
};

struct EncoderOptions {
  std::int64_t max_tokens = 4096;
  Truncation truncation = Truncation::kLeft;
  BosPolicy bos = BosPolicy::kOnce;
  std::optional<std::filesystem::path> template_file;  ///< overrides the model's own template
  std::string template_date = "2024-07-26";            ///< ISO date of the clock a template sees
};

/// One templated conversation as token ids.
struct EncodedConversation {
  std::vector<std::int32_t> ids;  ///< after truncation
  /// Leading tokens that belong to the prompt alone: the longest common prefix of `ids` and the ids
  /// of the prompt rendered with the generation prompt, but never all of `ids`: the last token is
  /// always the response's. A function of this row alone. 0 when the row was truncated from the
  /// left, or when the template refuses a prompt without an answer.
  std::int64_t prompt_length = 0;
  bool truncated = false;
  std::int64_t full_length = 0;  ///< tokens before truncation
};

/// One row of a group: its tokens, or why it has none.
struct EncodedRow {
  EncodedConversation tokens;
  std::optional<std::string> error;
};

/// Conversation -> chat template -> token ids, the way Hugging Face's apply_chat_template +
/// tokenizer do it. Immutable after construction; safe to use from several threads.
class ConversationEncoder {
 public:
  ConversationEncoder(const std::filesystem::path& model_dir, EncoderOptions options);

  /// Throws kInput when the template refuses the conversation, the text is not UTF-8, or truncation
  /// is kError and it is too long.
  EncodedConversation encode(const Conversation& prompt, std::string_view response) const;

  /// A prompt as a generator reads it: up to where the assistant speaks. Not truncated. Throws
  /// kInput when the template refuses the conversation, renders it to nothing, or the text is not
  /// UTF-8.
  std::vector<std::int32_t> encode_prompt(const Conversation& prompt) const;

  /// `encode` for each response, with the prompt rendered and tokenized once. What `encode` would
  /// throw is the row's error.
  std::vector<EncodedRow> encode_group(const Conversation& prompt,
                                       std::span<const std::string_view> responses) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate& chat_template() const { return *template_; }
  const EncoderOptions& options() const { return options_; }

 private:
  std::vector<std::int32_t> tokenize(const std::string& rendered) const;
  std::vector<std::int32_t> prompt_ids(const Conversation& prompt) const;
  EncodedConversation finish(const Conversation& conversation,
                             const std::vector<std::int32_t>& prompt_ids) const;

  EncoderOptions options_;
  std::vector<std::int32_t>
      leading_ids_;  ///< what kOnce puts in front when the template does not write BOS itself
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> template_;
};

}  // namespace charm::text
