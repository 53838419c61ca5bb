#include "charm/records/conversation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "tests/support/source_dir.h"

namespace charm {
namespace {

// The expected values are Python's: json.dumps(..., ensure_ascii=False, separators=(",", ":")) and
// hashlib.
TEST(PromptId, EqualsPython) {
  const std::string text =
      read_file(charm::test::kSourceDir + std::string("/tests/data/storage/prompt_ids.json"));
  const nlohmann::json cases = nlohmann::json::parse(text);
  ASSERT_EQ(cases.size(), 2u);
  for (const nlohmann::json& expected : cases) {
    Conversation prompt;
    for (const nlohmann::json& message : expected["prompt"])
      prompt.push_back({message["role"], message["content"]});
    EXPECT_EQ(conversation_json(prompt), expected["json"].get<std::string>());
    EXPECT_EQ(prompt_id_of(prompt), expected["prompt_id"].get<std::string>());
  }
}

TEST(PromptId, DependsOnRolesTurnsAndEveryByte) {
  const Conversation base = {{"user", "Hi"}};
  EXPECT_EQ(prompt_id_of(base).size(), 16u);
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"system", "Hi"}}));
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"user", "Hi "}}));
  EXPECT_NE(prompt_id_of(base), prompt_id_of({{"user", "H"}, {"user", "i"}}));
}

TEST(ConversationJson, MembersFollowRoleAndContent) {
  EXPECT_EQ(message_json({"user", "Hi", R"({"name":"anna"})"}),
            R"({"role":"user","content":"Hi","name":"anna"})");
  // A null, empty or listed content stands in the members, an absent one nowhere.
  EXPECT_EQ(message_json({"assistant", "", R"({"content":null,"tool_calls":[]})"}),
            R"({"role":"assistant","content":null,"tool_calls":[]})");
  EXPECT_EQ(message_json({"user", "ab", R"({"content":[{"type":"text","text":"ab"}]})"}),
            R"({"role":"user","content":[{"type":"text","text":"ab"}]})");
  EXPECT_EQ(message_json({"assistant", "", R"({"tool_calls":[1]})"}),
            R"({"role":"assistant","tool_calls":[1]})");
  Conversation prompt = {{"user", "Hi"}};
  prompt.tools = R"([{"name":"f"}])";
  EXPECT_EQ(conversation_json(prompt),
            R"({"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"f"}]})");
  prompt.template_kwargs = R"({"x":1})";
  EXPECT_EQ(
      conversation_json(prompt),
      R"({"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"f"}],"chat_template_kwargs":{"x":1}})");
  prompt.tools.clear();
  EXPECT_EQ(conversation_json(prompt),
            R"({"messages":[{"role":"user","content":"Hi"}],"chat_template_kwargs":{"x":1}})");
}

TEST(LeadingTurns, KeepWhatTheTemplateSees) {
  Conversation whole = {{"user", "Hi"}, {"assistant", "yes"}};
  whole.tools = "[{}]";
  whole.template_kwargs = R"({"x":1})";
  Conversation prompt = {{"user", "Hi"}};
  prompt.tools = "[{}]";
  prompt.template_kwargs = R"({"x":1})";
  EXPECT_EQ(leading_turns(whole, 1), prompt);
}

TEST(PromptId, DependsOnMembersToolsAndTemplateKwargs) {
  const Conversation plain = {{"user", "Hi"}};
  Conversation tools = plain;
  tools.tools = R"([{"name":"f"}])";
  EXPECT_NE(tools, plain);
  EXPECT_NE(prompt_id_of(tools), prompt_id_of(plain));
  Conversation kwargs = plain;
  kwargs.template_kwargs = R"({"enable_thinking":false})";
  EXPECT_NE(prompt_id_of(kwargs), prompt_id_of(plain));
  EXPECT_NE(prompt_id_of({{"user", "Hi", R"({"name":"a"})"}}),
            prompt_id_of({{"user", "Hi", R"({"name":"b"})"}}));
}

TEST(WithoutThinking, RemovesReasoningAtTheStart) {
  EXPECT_EQ(without_thinking("<think>\nhm\n</think>\n\nanswer "), "answer ");
  EXPECT_EQ(without_thinking("\n<think></think>a</think>"), "a</think>");
  EXPECT_EQ(without_thinking("<think>all</think>\n"), "");
  for (const char* whole :
       {"", " ", "a <think>b</think>", "<think>cut off", "<thinking>a</thinking>b"})
    EXPECT_EQ(without_thinking(whole), whole);
}

TEST(HasTextContent, UnlessNullAbsentOrAList) {
  EXPECT_TRUE(has_text_content({"user", ""}));
  EXPECT_TRUE(has_text_content({"user", "a", R"({"name":"b"})"}));
  EXPECT_TRUE(has_text_content({"user", "", R"({"content":"","name":"b"})"}));
  EXPECT_FALSE(has_text_content({"user", "", R"({"content":null,"name":"b"})"}));
  EXPECT_FALSE(has_text_content({"user", "a", R"({"content":[{"type":"text","text":"a"}]})"}));
  EXPECT_FALSE(has_text_content({"user", "", R"({"name":"b"})"}));
}

}  // namespace
}  // namespace charm
