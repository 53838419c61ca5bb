#include "charm/base/option_table.h"
#include "charm/text/conversation_encoder.h"

namespace charm::text {

void describe_encoder(OptionTable& table, EncoderOptions& options) {
  table
      .add({.name = "max-tokens",
            .value_name = "N",
            .help =
                "Maximum conversation length in tokens; longer ones are truncated (--truncation). "
                "At most the model's positions. Use the value of the reward model's training.",
            .default_text = std::to_string(kDefaultMaxTokens),
            .assign =
                [&options](const std::vector<std::string>& values) {
                  options.max_tokens = parse_integer(values.front());
                },
            .value = [&options]() -> OptionValue {
              return options.max_tokens.value_or(kDefaultMaxTokens);
            }})
      .at_least(1)
      .choice(
          "truncation", options.truncation,
          {{"left", Truncation::kLeft},
           {"right", Truncation::kRight},
           {"error", Truncation::kError}},
          "Truncation side of long conversations: left keeps the last tokens, as most reward model "
          "trainers do; right keeps the first; error gives the row an error instead of a score.")
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; for models without one.")
      .text("template-date", options.template_date, "YYYY-MM-DD",
            "Current date in chat templates; fixed so that scores are reproducible.");
  describe_template_kwargs(table, options.template_kwargs);
  table.flag("strip-thinking", options.strip_thinking,
             "Remove the reasoning, <think>...</think>, that a response begins with before it is "
             "scored; for reward models trained on answers alone. Files keep the whole response.");
  describe_bos(table, options.bos);
}

void describe_template_kwargs(OptionTable& table, std::string& kwargs) {
  table.text("chat-template-kwargs", kwargs, "JSON",
             "Further variables for the chat template, such as '{\"enable_thinking\": false}': the "
             "chat_template_kwargs of transformers, TRL and vLLM. A row's own, in a column of that "
             "name, come first.");
}

void describe_bos(OptionTable& table, BosPolicy& bos) {
  table.choice("bos", bos, {{"once", BosPolicy::kOnce}, {"as-template", BosPolicy::kAsTemplate}},
               "Beginning-of-sequence token (BOS): once writes exactly one; as-template lets chat "
               "template and tokenizer each add one, which reproduces tools that write it twice.");
}

}  // namespace charm::text
