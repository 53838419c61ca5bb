#pragma once

#include <string>

#include "charm/generate/server_options.h"
#include "charm/text/chat_template.h"

namespace charm::generate {

/// Prompts as the text that /v1/completions continues. Servers put the beginning-of-sequence token
/// in front of a text themselves where their tokenizer does so; a template's own is then taken off,
/// so that the model sees it once. Safe to use from several threads.
class PromptText {
 public:
  /// From `options.tokenizer_dir` or `options.template_file`; throws kUsage where both are missing.
  explicit PromptText(const ServerOptions& options);

  /// Throws kInput where the template refuses the conversation.
  std::string render(const Conversation& prompt) const;

  std::string template_sha256() const { return template_.sha256(); }

 private:
  text::ChatTemplate template_;
  std::string taken_off_;  ///< BOS, where the tokenizer adds it
};

}  // namespace charm::generate
