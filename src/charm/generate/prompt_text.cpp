#include "charm/generate/prompt_text.h"

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/text/tokenizer.h"

namespace charm::generate {
namespace {

text::ChatTemplate load_template(const ServerOptions& options) {
  if (options.tokenizer_dir)
    return text::ChatTemplate::load(*options.tokenizer_dir, options.template_file,
                                    options.template_date);
  if (!options.template_file) {
    throw Error(ErrorKind::kUsage,
                "--endpoint completions: the chat template is rendered here; give --tokenizer DIR "
                "(the model's folder) or --template FILE");
  }
  // Without a tokenizer no special tokens are known: a template that writes bos_token writes
  // nothing, and the server adds it.
  return text::ChatTemplate::from_source(read_file(*options.template_file), {},
                                         options.template_date, options.template_file->string());
}

/// The BOS text, where the tokenizer puts it in front of a text by itself.
std::string added_bos(const ServerOptions& options, const text::SpecialTokens& tokens) {
  const auto bos = tokens.find("bos_token");
  if (!options.tokenizer_dir || bos == tokens.end()) return "";
  const text::Tokenizer tokenizer = text::Tokenizer::load(*options.tokenizer_dir);
  const auto id = tokenizer.token_to_id(bos->second);
  const auto plain = tokenizer.encode("a", text::AddSpecialTokens::kNo),
             dressed = tokenizer.encode("a", text::AddSpecialTokens::kYes);
  const bool adds = id && dressed.size() > plain.size() && dressed.front() == *id;
  return adds ? bos->second : "";
}

}  // namespace

PromptText::PromptText(const ServerOptions& options)
    : template_(load_template(options)),
      taken_off_(added_bos(options, template_.special_tokens())) {}

std::string PromptText::render(const Conversation& prompt) const {
  std::string text = template_.render(prompt, text::GenerationPrompt::kYes);
  if (!taken_off_.empty() && text.starts_with(taken_off_)) text.erase(0, taken_off_.size());
  return text;
}

}  // namespace charm::generate
