#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "charm/storage/row_fields.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;
using OrderedJson = nlohmann::ordered_json;

Conversation conversation(const char* json) {
  return conversation_of(OrderedJson::parse(json), "messages");
}

RowView row_of(const OrderedJson& json) {
  RowView row;
  row.object = &json;
  return row;
}

Conversation prompt(const char* row) {
  const OrderedJson json = OrderedJson::parse(row);
  return prompt_field(row_of(json));
}

TEST(ConversationOf, KeepsEveryMember) {
  const Conversation found = conversation(R"([
      {"role": "user", "content": "Hi", "name": "anna"},
      {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f",
       "arguments": {"z": 1, "a": null}}}], "reasoning_content": "hm"},
      {"role": "tool", "tool_call_id": "1", "content": ""},
      {"role": "assistant", "tool_calls": []}])");
  EXPECT_EQ(
      found,
      (Conversation{
          {"user", "Hi", R"({"name":"anna"})"},
          {"assistant", "",
           R"({"content":null,"reasoning_content":"hm","tool_calls":[{"function":{"name":"f","arguments":{"z":1,"a":null}}}]})"},
          {"tool", "", R"({"content":"","tool_call_id":"1"})"},
          {"assistant", "", R"({"tool_calls":[]})"}}));
}

TEST(ConversationOf, NullMembersAreAbsent) {
  EXPECT_EQ(conversation(R"([{"role": "user", "content": "Hi", "tool_calls": null}])"),
            (Conversation{{"user", "Hi"}}));
  EXPECT_EQ(conversation(R"({"role": ["user"], "content": ["Hi"], "name": [null]})"),
            (Conversation{{"user", "Hi"}}));
}

TEST(ConversationOf, TextPartsAreAContent) {
  const Conversation found = conversation(
      R"([{"role": "user", "content": [{"type": "text", "text": "a", "image": null},
                                       {"type": "text", "text": "b"}]}])");
  EXPECT_EQ(found.front().content, "ab");
  EXPECT_EQ(message_json(found.front()),
            R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})");
}

TEST(ConversationOf, ShareGptTurnsAndSingleMessages) {
  const Conversation expected = {{"system", "s"}, {"user", "Hi"}, {"assistant", "yes"}};
  EXPECT_EQ(conversation(R"([{"from": "system", "value": "s"}, {"from": "human", "value": "Hi"},
                             {"from": "gpt", "value": "yes"}])"),
            expected);
  EXPECT_EQ(conversation(R"({"from": ["system", "human", "gpt"], "value": ["s", "Hi", "yes"]})"),
            expected);
  EXPECT_EQ(conversation(R"({"from": "gpt", "value": "yes"})"),
            (Conversation{{"assistant", "yes"}}));
}

TEST(ConversationOf, RefusesWhatItCannotHandOnByName) {
  for (const auto& [json, part] : std::vector<std::pair<const char*, const char*>>{
           {R"([{"text": "Hi"}])", "message 1: expected a string 'role'"},
           {R"([{"role": "user"}])", "message 1: expected a string or a list of text parts"},
           {R"([{"role": "user", "content": 1}])", "found number"},
           {R"([{"role": "user", "content": [{"type": "image", "image": "x"}]}])",
            "a part of type \"image\""},
           {R"([{"role": "user", "content": [{"type": "image_url", "text": null}]}])",
            "a part of type \"image_url\""},
           {R"([{"from": "function_call", "value": "x"}])", "'from' is \"function_call\""},
           {R"({"text": "Hi"})", "expected a list of messages"}}) {
    EXPECT_THAT(error_of([&, text = json] { conversation(text); }).message(), HasSubstr(part))
        << json;
  }
  // The template decides about roles.
  EXPECT_EQ(conversation(R"([{"role": "critic", "content": "x"}])").front().role, "critic");
}

TEST(PromptField, RolesThatFewTemplatesKnowAreNamed) {
  const auto warnings = [](const char* role) {
    ::testing::internal::CaptureStderr();
    const Conversation found = prompt(fmt::format(R"({{"prompt": [{{"role": "{}", "content": "a"}},
                                         {{"role": "user", "content": "b"}}]}})",
                                                  role)
                                          .c_str());
    EXPECT_EQ(found.front().role, role);  // passed on: the template decides
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warnings("narrator"), AllOf(HasSubstr("'narrator'"), HasSubstr("column 'prompt'"),
                                          HasSubstr("charm inspect --sample")));
  EXPECT_EQ(warnings("developer"), "");
}

TEST(PromptField, SystemHistoryAndTools) {
  const Conversation found = prompt(
      R"({"prompt": "Hi", "system": "Be brief.", "history": [["a", "b"]],
          "tools": [{"name": "f", "arguments": {"z": 1, "a": 2}}]})");
  Conversation expected = {
      {"system", "Be brief."}, {"user", "a"}, {"assistant", "b"}, {"user", "Hi"}};
  expected.tools = R"([{"name":"f","arguments":{"z":1,"a":2}}])";
  EXPECT_EQ(found, expected);
  EXPECT_EQ(prompt(R"({"prompt": "Hi", "system": "", "history": [], "tools": "[]"})"),
            (Conversation{{"user", "Hi"}}));
  EXPECT_EQ(prompt(R"({"prompt": "Hi", "tools": "[{\"name\": \"f\"}]"})"),
            prompt(R"({"prompt": "Hi", "tools": ["{\"name\": \"f\"}"]})"));
  // A system message that the conversation has already is not repeated.
  EXPECT_EQ(prompt(R"({"system": "s", "messages": [{"role": "system", "content": "s"},
                                                   {"role": "user", "content": "Hi"}]})"),
            (Conversation{{"system", "s"}, {"user", "Hi"}}));
  for (const char* row :
       {R"({"prompt": "Hi", "history": "a"})", R"({"prompt": "Hi", "tools": "none"})",
        R"({"prompt": "Hi", "tools": [1]})", R"({"prompt": "Hi", "system": 1})",
        R"({"system": "s", "prompt": [{"role": "system", "content": "t"},
                                      {"role": "user", "content": "Hi"}]})"}) {
    EXPECT_THAT(error_of([&] { prompt(row); }).message(), HasSubstr("column '")) << row;
  }
}

TEST(PromptField, TemplateKwargsBelongToThePrompt) {
  const auto with = [](const char* kwargs) {
    return prompt(fmt::format(R"({{"prompt": "Hi", "chat_template_kwargs": {}}})", kwargs).c_str());
  };
  Conversation expected = {{"user", "Hi"}};
  for (const char* none : {"null", "{}", "\"\"", "\"{}\"", R"({"enable_thinking": null})"})
    EXPECT_EQ(with(none), expected) << none;
  expected.template_kwargs = R"({"documents":[{"z":1,"a":2}],"enable_thinking":false})";
  EXPECT_EQ(with(R"({"enable_thinking": false, "documents": [{"z": 1, "a": 2}], "x": null})"),
            expected);
  EXPECT_EQ(with(R"("{\"documents\":[{\"z\":1,\"a\":2}],\"enable_thinking\":false}")"), expected);
  for (const auto& [kwargs, part] : std::vector<std::pair<const char*, const char*>>{
           {"true", "found true"},
           {"3", "found 3"},
           {"[]", "found array"},
           {"\"thinking\"", "found \"thinking\""},
           {R"({"tools": []})", "'tools' is part of every conversation"},
           {R"({"messages": 1})", "'messages' is part of every conversation"}}) {
    EXPECT_THAT(error_of([&] { with(kwargs); }).message(),
                AllOf(HasSubstr("column 'chat_template_kwargs'"), HasSubstr(part)));
  }
}

TEST(PairFields, LlamaFactoryAndContext) {
  const PairSides sides = pair_fields(row_of(OrderedJson::parse(
      R"({"conversations": [{"from": "human", "value": "Hi"}], "system": "s", "tools": "[{}]",
          "chat_template_kwargs": {"x": 1},
          "chosen": {"from": "gpt", "value": "good"}, "rejected": {"from": "gpt", "value": "bad"}})")));
  Conversation expected = {{"system", "s"}, {"user", "Hi"}};
  expected.tools = "[{}]";
  expected.template_kwargs = R"({"x":1})";
  EXPECT_EQ(sides.prompt, expected);
  expected.push_back({"assistant", "good"});
  EXPECT_EQ(sides.chosen, expected);
  EXPECT_EQ(sides.rejected.back().content, "bad");
}

TEST(ExchangeFields, ShareGptAndResponsesWithMembers) {
  const Exchange turns = exchange_fields(row_of(OrderedJson::parse(
      R"({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "yes"}]})")));
  EXPECT_EQ(turns.prompt, (Conversation{{"user", "Hi"}}));
  EXPECT_EQ(turns.response, (Message{"assistant", "yes"}));
  const Exchange called = exchange_fields(row_of(OrderedJson::parse(
      R"({"prompt": "Hi", "response": [{"role": "assistant", "content": "", "tool_calls": [1]}]})")));
  EXPECT_EQ(called.response, (Message{"assistant", "", R"({"content":"","tool_calls":[1]})"}));
}

std::vector<ScoredResponse> rows_with_members() {
  std::vector<ScoredResponse> rows;
  for (const char* messages :
       {R"([{"role": "user", "content": "plain"}])",
        R"([{"role": "user", "content": [{"type": "text", "text": "part"}], "name": "x"},
            {"role": "assistant", "content": null, "tool_calls": [{"b": 1, "a": [null]}]},
            {"role": "assistant", "tool_calls": [2]},
            {"role": "tool", "content": "", "tool_call_id": "1"}])"}) {
    ScoredResponse row;
    row.response.prompt = conversation(messages);
    row.response.prompt_id = prompt_id_of(row.response.prompt);
    row.response.response = "r";
    row.response.policy = "p";
    row.score = 1.5f;
    rows.push_back(std::move(row));
  }
  rows[1].response.prompt.tools = R"([{"name":"f","z":null}])";
  rows[1].response.prompt.template_kwargs = R"({"enable_thinking":false,"style":"brief"})";
  rows[1].response.members = R"({"reasoning_content":"because"})";
  ScoredResponse called = rows[0];
  called.response.prompt_id = "third";
  called.response.response = "";
  called.response.members = R"({"content":null,"tool_calls":[{}]})";
  rows.push_back(std::move(called));
  return rows;
}

TEST(Members, RoundTripThroughScoresFiles) {
  const TempFolder folder;
  for (const char* name : {"p.parquet", "p.jsonl", "p.jsonl.gz"}) {
    const auto rows = rows_with_members();
    write_scores(folder / name, rows);
    const auto found = read_scored_responses(folder / name, {});
    ASSERT_EQ(found.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(found[i].response.prompt, rows[i].response.prompt) << name << " " << i;
      EXPECT_EQ(found[i].response.message(), rows[i].response.message()) << name << " " << i;
    }
  }
}

TEST(Members, RoundTripThroughPromptsAndPreferences) {
  const TempFolder folder;
  for (const char* name : {"p.parquet", "p.jsonl"}) {
    const auto rows = rows_with_members();
    std::vector<Prompt> prompts;
    std::vector<PreferencePair> pairs;
    for (const ScoredResponse& row : rows) {
      prompts.push_back({row.response.prompt_id, row.response.prompt});
      PreferencePair pair;
      pair.prompt_id = row.response.prompt_id;
      pair.chosen = pair.rejected = row.response.prompt;
      pair.chosen.push_back(row.response.message());
      pair.rejected.push_back({"assistant", "other"});
      pairs.push_back(std::move(pair));
    }
    write_prompts(folder / name, prompts);
    const auto found = read_prompts(folder / name, {});
    write_preferences(folder / name, pairs);
    const auto found_pairs = read_preferences(folder / name, {});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(found[i].messages, prompts[i].messages) << name << " " << i;
      EXPECT_EQ(found_pairs[i].chosen, pairs[i].chosen) << name << " " << i;
      EXPECT_EQ(found_pairs[i].rejected, pairs[i].rejected) << name << " " << i;
    }
  }
}

// Written by pyarrow: every struct has every member of the column, null where absent.
TEST(Members, NullsOfNestedStructsAreAbsent) {
  const auto rows = read_responses(
      std::filesystem::path(charm::test::kSourceDir) / "tests/data/storage/tools.parquet", {});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(
      rows[0].prompt[1].members,
      R"({"content":null,"tool_calls":[{"type":"function","function":{"name":"get_weather","arguments":{"city":"Bern"}}}]})");
  EXPECT_EQ(
      rows[0].prompt.tools,
      R"([{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}},{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}}])");
  EXPECT_EQ(rows[1].prompt, (Conversation{{"user", "Hi"}}));
}

}  // namespace
}  // namespace charm::storage
