#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "charm/records/conversation.h"
#include "charm/text/special_tokens.h"

namespace charm::text {

/// Whether a model folder has a chat template.
bool has_chat_template(const std::filesystem::path& model_dir);

/// Whether the prompt ends with the assistant's header (add_generation_prompt).
enum class GenerationPrompt { kNo, kYes };

/// A Jinja chat template, rendered with the settings of transformers' apply_chat_template:
/// trim_blocks, lstrip_blocks, raise_exception, tojson, strftime_now (pinned date, midnight),
/// Python's string methods; `documents` is none unless given, and `tools` without any.
/// Conversations with tools are rendered by the template named `tool_use` if there is one.
/// Variables of a conversation stand in place of those of the same name that all have. Immutable;
/// thread-safe.
class ChatTemplate {
 public:
  /// The first of: `template_file`; `model_dir`/chat_template.jinja, with tool_use.jinja in its
  /// additional_chat_templates/; `chat_template` in tokenizer_config.json (a string, or a list of
  /// named templates of which "default" and "tool_use" are taken). `kwargs`: a JSON object of
  /// further variables; empty: none. `template_folder` has the template where `model_dir` has the
  /// tokenizer and its special tokens alone; empty: `model_dir`. Throws kInput naming --template
  /// when there is none, kUsage for other kwargs.
  static ChatTemplate load(const std::filesystem::path& model_dir,
                           const std::optional<std::filesystem::path>& template_file,
                           const std::string& date, const std::string& kwargs = {},
                           const std::filesystem::path& template_folder = {});
  /// `name` is used in error messages; `date` is YYYY-MM-DD.
  static ChatTemplate from_source(std::string source, SpecialTokens special_tokens,
                                  const std::string& date, std::string name,
                                  const std::string& kwargs = {});

  /// Throws kInput with the template's message when it rejects the conversation (raise_exception).
  std::string render(const Conversation& conversation, GenerationPrompt generation_prompt) const;
  /// The same for a prompt and its response, without a copy of the prompt.
  std::string render(const Conversation& prompt, const Message& response) const;

  const std::string& source() const { return source_; }
  /// Source of the template, for messages.
  const std::string& name() const { return name_; }
  /// SHA-256 of `source()`, for manifests; with a template for tools of both, separated by NUL.
  std::string sha256() const;
  const SpecialTokens& special_tokens() const { return special_tokens_; }

 private:
  /// `context`: the conversation whose tools and variables the template sees.
  std::string render_json(const std::string& messages, const Conversation& context,
                          GenerationPrompt generation_prompt) const;

  struct Handle;
  struct HandleDeleter {
    void operator()(Handle* handle) const;
  };
  using HandlePtr = std::unique_ptr<Handle, HandleDeleter>;

  ChatTemplate(SpecialTokens special_tokens, std::string name);
  std::string context_json(const std::string& kwargs) const;
  HandlePtr compile(const std::string& source, const std::string& context,
                    const std::string& date) const;

  HandlePtr handle_;
  HandlePtr tool_use_;  ///< null without a template of its own for tools
  std::string source_;
  std::string tool_use_source_;
  SpecialTokens special_tokens_;
  std::string name_;
};

}  // namespace charm::text
