// tests/data/golden/text_templates.json, text_hard.json: transformers' results for our own
// templates and texts (tools/golden/make_text_golden.py).
#include <nlohmann/json.hpp>

#include "charm/text/conversation_encoder.h"
#include "tests/unit/text/text_fixtures.h"

namespace charm::text {
namespace {

Conversation to_conversation(const nlohmann::json& messages) {
  Conversation conversation;
  for (const auto& message : messages)
    conversation.push_back({message["role"], message["content"]});
  return conversation;
}

EncoderOptions options_of(const nlohmann::json& golden, const nlohmann::json& row, BosPolicy bos) {
  EncoderOptions options;
  options.bos = bos;
  options.template_date = golden["date"].get<std::string>();
  options.template_file = kTestData / "templates" / row["template"].get<std::string>();
  return options;
}

TEST(TextGolden, TextsAndTokensOfTransformers) {
  const auto golden = nlohmann::json::parse(read_file(kTestData / "golden/text_templates.json"));
  ASSERT_GE(golden["cases"].size(), 80u);
  for (const auto& row : golden["cases"]) {
    SCOPED_TRACE(row["tokenizer"].get<std::string>() + " " + row["template"].get<std::string>() +
                 " " + row["conversation"].dump());
    const fs::path model = kTestData / "tokenizers" / row["tokenizer"].get<std::string>();
    const Conversation conversation = to_conversation(row["conversation"]);
    const bool generation = row["add_generation_prompt"].get<bool>();
    const ConversationEncoder once(model, options_of(golden, row, BosPolicy::kOnce));
    const auto render = [&] {
      return once.chat_template().render(
          conversation, generation ? GenerationPrompt::kYes : GenerationPrompt::kNo);
    };
    if (row.contains("error")) {
      expect_error(ErrorKind::kInput, ::testing::HasSubstr(row["error"].get<std::string>()),
                   render);
      continue;
    }
    EXPECT_EQ(render(), row["text"].get<std::string>());
    if (generation || conversation.back().role != "assistant") continue;
    const Conversation prompt(conversation.begin(), conversation.end() - 1);
    const ConversationEncoder as_template(model, options_of(golden, row, BosPolicy::kAsTemplate));
    EXPECT_EQ(once.encode(prompt, conversation.back().content).ids,
              row["ids_bos_once"].get<std::vector<std::int32_t>>());
    EXPECT_EQ(as_template.encode(prompt, conversation.back().content).ids,
              row["ids_as_template"].get<std::vector<std::int32_t>>());
  }
}

// Emoji, right-to-left text, control characters, code, and special-token text inside a text.
TEST(TextGolden, IdsOfHardTexts) {
  const auto golden = nlohmann::json::parse(read_file(kTestData / "golden/text_hard.json"));
  ASSERT_GE(golden["cases"].size(), 150u);
  for (const auto& name : golden["tokenizers"]) {
    const auto tokenizer = Tokenizer::load(kTestData / "tokenizers" / name.get<std::string>());
    for (const auto& row : golden["cases"]) {
      EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>(), AddSpecialTokens::kNo),
                row[name.get<std::string>()].get<std::vector<std::int32_t>>())
          << name << " " << row["text"];
    }
  }
}

}  // namespace
}  // namespace charm::text
