#include "charm/base/strings.h"
#include "charm/text/chat_template.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {

bool template_property(std::string_view bytes) {
  const std::size_t separator = std::min(bytes.find('\0'), bytes.size());
  const std::string source(bytes.substr(0, separator));
  const std::string message(bytes.substr(std::min(separator + 1, bytes.size())));
  return accepts([&] {
    const auto chat_template = text::ChatTemplate::from_source(
        source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "2024-07-26", "template");
    bool rendered = false;
    for (const Conversation& conversation :
         {Conversation{{"user", message}},
          Conversation{{"system", "Be brief."}, {"user", message}, {"assistant", "Yes."}}}) {
      for (const auto prompt : {text::GenerationPrompt::kNo, text::GenerationPrompt::kYes}) {
        rendered |= accepts([&] {
          const std::string text = chat_template.render(conversation, prompt);
          require(!find_invalid_utf8(text), "a rendered text is UTF-8");
          require(chat_template.render(conversation, prompt) == text, "rendering is deterministic");
        });
      }
    }
    if (!rendered) throw Error(ErrorKind::kInput, "the template rejects every conversation");
  });
}

}  // namespace charm::fuzz
