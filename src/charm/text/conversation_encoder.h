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

namespace charm {
class OptionTable;
}

namespace charm::text {

/// Truncation side of conversations longer than max_tokens.
enum class Truncation {
  kLeft,   ///< keep the last tokens (usual in RM training)
  kRight,  ///< keep the first tokens
  kError,  ///< the row gets an error
};

/// Handling of the BOS token.
enum class BosPolicy {
  kOnce,        ///< exactly one: if the template adds it, the tokenizer does not
  kAsTemplate,  ///< tokenizer and template add it independently (reproduces tools that double it)
};

inline constexpr std::int64_t kDefaultMaxTokens = 4096;

struct EncoderOptions {
  std::optional<std::int64_t> max_tokens{};  ///< unset: kDefaultMaxTokens, or the model's positions
                                             ///< where they are fewer (score::encoder_options)
  Truncation truncation = Truncation::kLeft;
  BosPolicy bos = BosPolicy::kOnce;
  std::optional<std::filesystem::path> template_file;  ///< overrides the model's chat template
  std::filesystem::path template_folder;     ///< has the chat template; empty: the tokenizer's
  std::string template_date = "2024-07-26";  ///< ISO date of strftime_now in templates
  std::string template_kwargs;  ///< JSON object of further variables for templates; empty: none
  /// The model is a bidirectional encoder: where it has no chat template it reads a pair of texts,
  /// prompt and response; a templated conversation is one text.
  bool text_pairs = false;
  bool strip_thinking = false;  ///< remove a leading <think>...</think> from responses; for models
                                ///< trained on answers alone
};

/// `--max-tokens`, `--truncation`, `--template`, `--template-date`, `--chat-template-kwargs`,
/// `--strip-thinking` and `--bos`.
void describe_encoder(OptionTable& table, EncoderOptions& options);
void describe_bos(OptionTable& table, BosPolicy& bos);
void describe_template_kwargs(OptionTable& table, std::string& kwargs);

/// A rendered and tokenised conversation.
struct EncodedConversation {
  std::vector<std::int32_t> ids;  ///< after truncation
  /// Leading tokens that belong to the prompt alone: the longest common prefix of `ids` and the ids
  /// of the prompt rendered with the generation prompt, but never all of `ids`: the last token
  /// always belongs to the response. A function of this row alone. 0 when the row was truncated
  /// from the left, or when the template rejects a prompt without a response.
  std::int64_t prompt_length = 0;
  bool truncated = false;
  std::int64_t full_length = 0;  ///< tokens before truncation
};

/// A row's tokens or its error.
struct EncodedRow {
  EncodedConversation tokens;
  std::optional<std::string> error;
};

class TextPair;

/// Conversation -> chat template -> token ids, as Hugging Face's apply_chat_template + tokenizer;
/// or prompt and response -> token ids of a pair of texts, as its tokenizer(prompt, response).
/// Immutable; thread-safe.
class ConversationEncoder {
 public:
  ConversationEncoder(const std::filesystem::path& model_dir, EncoderOptions options);

  /// Throws kInput when the template rejects the conversation, the text is not UTF-8, or it is too
  /// long with Truncation::kError.
  EncodedConversation encode(const Conversation& prompt, const Message& response) const;
  EncodedConversation encode(const Conversation& prompt, std::string_view response) const;

  /// A prompt for generation, with the generation prompt. Not truncated. Throws kInput when the
  /// template rejects the conversation, renders it to nothing, or the text is not UTF-8.
  std::vector<std::int32_t> encode_prompt(const Conversation& prompt) const;

  /// The ids of a prompt with the generation prompt, for `encode_row`. Empty if the template
  /// rejects a conversation without a response: such rows share no prompt.
  std::vector<std::int32_t> prompt_ids(const Conversation& prompt) const;

  /// `encode` for one of several responses to a prompt, whose `prompt_ids` are computed once. A
  /// kInput error of `encode` becomes the row's error.
  EncodedRow encode_row(const Conversation& prompt, std::span<const std::int32_t> prompt_ids,
                        const Message& response) const;

  /// Whether the template writes the source of a content that is a list of text parts, not its
  /// text.
  bool writes_source_of_parts() const;

  /// A conversation that another program rendered with the same template, from its start to its
  /// end; BOS is handled as in `encode`. Its prompt ends with the last assistant header in the
  /// text, so that such texts have the tokens and the prompt length of the conversation itself. A
  /// kInput error becomes the row's error.
  EncodedRow encode_rendered(const std::string& rendered) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Of a pair of texts its source shows the pair.
  const ChatTemplate& chat_template() const { return *template_; }
  bool encodes_pairs() const { return encodes_pairs_; }
  const EncoderOptions& options() const { return options_; }
  std::int64_t max_tokens() const { return max_tokens_; }

 private:
  std::vector<std::int32_t> tokenize(const std::string& rendered) const;
  EncodedConversation finish(const Conversation& prompt, const Message& response,
                             std::span<const std::int32_t> prompt_ids) const;
  EncodedConversation finish_pair(const Conversation& prompt, const Message& response,
                                  std::span<const std::int32_t> prompt_ids) const;
  EncodedConversation finish_rendered(const std::string& rendered,
                                      std::span<const std::int32_t> prompt_ids) const;

  /// What the template writes between the last user turn's text and the response; empty: unknown.
  std::string find_response_header() const;

  EncoderOptions options_;
  std::int64_t max_tokens_;
  std::vector<std::int32_t>
      leading_ids_;  ///< tokens that kOnce prepends when the template does not add BOS
  std::unique_ptr<Tokenizer> tokenizer_;
  std::shared_ptr<const TextPair> texts_;  ///< of a bidirectional encoder
  bool encodes_pairs_ = false;
  std::unique_ptr<ChatTemplate> template_;
  std::string response_header_;
};

}  // namespace charm::text
