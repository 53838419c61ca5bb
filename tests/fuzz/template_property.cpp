#include "charm/base/strings.h"
#include "charm/text/chat_template.h"
#include "tests/fuzz/accepts.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {

bool template_property(std::string_view bytes) {
  const std::size_t border = std::min(bytes.find('\0'), bytes.size());
  const std::string source(bytes.substr(0, border));
  const std::string said(bytes.substr(std::min(border + 1, bytes.size())));
  return accepts([&] {
    const auto made = text::ChatTemplate::from_source(
        source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "2024-07-26", "template");
    bool rendered = false;
    for (const Conversation& conversation :
         {Conversation{{"user", said}},
          Conversation{{"system", "Be brief."}, {"user", said}, {"assistant", "Yes."}}}) {
      for (const auto prompt : {text::GenerationPrompt::kNo, text::GenerationPrompt::kYes}) {
        rendered |= accepts([&] {
          const std::string text = made.render(conversation, prompt);
          require(!find_invalid_utf8(text), "a rendered text is UTF-8");
          require(made.render(conversation, prompt) == text, "a conversation has one text");
        });
      }
    }
    if (!rendered) throw Error(ErrorKind::kInput, "the template refuses everything");
  });
}

}  // namespace charm::fuzz
