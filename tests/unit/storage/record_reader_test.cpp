#include "charm/storage/record_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

std::vector<Response> responses(std::string_view lines, const ReadOptions& options = {}) {
  const TempFolder folder;
  return read_responses(folder.file("bot.jsonl", lines), options);
}

std::string response_error(std::string_view lines) {
  const Error error = error_of([&] { responses(lines); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  return error.message();
}

std::vector<Prompt> prompts(std::string_view lines) {
  const TempFolder folder;
  return read_prompts(folder.file("p.jsonl", lines), {});
}

std::vector<Score> scores(std::string_view lines, const ReadOptions& options = {}) {
  const TempFolder folder;
  return read_scores(folder.file("bot.jsonl", lines), options);
}

const Conversation kHi = {{"user", "Hi"}};

// LMSYS-Chat-1M and WildChat name the messages in the singular; WildChat's have members of its own.
TEST(RecordReader, AConversationIsAListOfMessages) {
  const TempFolder folder;
  const auto read = [&](const std::string& row) {
    return read_responses(folder.file("a.jsonl", row + "\n"), {}).at(0);
  };
  const Response lmsys = read(
      R"({"conversation": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})");
  EXPECT_EQ(lmsys.prompt.back().content, "a");
  EXPECT_EQ(lmsys.response, "b");
  const Response same = read(
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})");
  EXPECT_EQ(lmsys.prompt_id, same.prompt_id);
}

TEST(ReadResponses, AcceptsAllFormats) {
  for (
      const char* line : {
          R"({"prompt":"Hi","response":"Yo"})",
          R"({"prompt":[{"role":"user","content":"Hi"}],"output":"Yo"})",
          R"({"instruction":"Hi","input":"","output":"Yo","dataset":"x"})",
          R"({"prompt":"Hi","completion":[{"role":"assistant","content":"Yo"}]})",
          R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]})",
          R"({"messages":[{"role":"user","content":"Hi"}],"response":"Yo"})",
          R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}],"response":"Yo"})",
          R"({"prompt":null,"instruction":"Hi","response":null,"output":"Yo"})",
      }) {
    const auto rows = responses(line);
    ASSERT_EQ(rows.size(), 1u) << line;
    EXPECT_EQ(rows[0].prompt, kHi) << line;
    EXPECT_EQ(rows[0].response, "Yo") << line;
    EXPECT_EQ(rows[0].prompt_id, prompt_id_of(kHi)) << line;
    EXPECT_EQ(rows[0].policy, "bot") << line;
  }
}

TEST(ReadResponses, ReadsCsv) {
  const TempFolder folder;
  const auto rows = read_responses(
      folder.file("bot.csv",
                  "prompt_id,prompt,response,num_tokens,notes\n"
                  "0001,Hi,42,7,x\n"
                  "2,\"one\ntwo, \"\"three\"\"\",\"\",,\n"
                  "3,\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"Hi\"\"}]\",true,8,\n"),
      {});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].policy, "bot");
  EXPECT_EQ(rows[0].prompt_id, "0001") << "ids are texts";
  EXPECT_EQ(rows[0].response, "42") << "a text that reads as a number is a text";
  EXPECT_EQ(rows[0].num_tokens, 7);
  EXPECT_EQ(rows[1].prompt, (Conversation{{"user", "one\ntwo, \"three\""}}));
  EXPECT_EQ(rows[1].response, "");
  EXPECT_FALSE(rows[1].num_tokens.has_value());
  EXPECT_EQ(rows[2].prompt, kHi) << "JSON source of messages";
  EXPECT_EQ(rows[2].response, "true");
}

TEST(ReadScores, ReadsCsv) {
  const TempFolder folder;
  const auto rows = read_scored_responses(
      folder.file("bot.tsv",
                  "prompt\tresponse\tscore\ttruncated\terror\nHi\tYo\t-1.5\tTrue\t\n"
                  "Hi\tYo\t\tFalse\ttoo long\n"),
      {});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].score, -1.5f);
  EXPECT_TRUE(rows[0].truncated);
  EXPECT_EQ(rows[1].error, "too long");
  const auto problem = [&](std::string_view text) {
    return error_of([&] { read_scores(folder.file("x.csv", text), {}); }).message();
  };
  EXPECT_THAT(problem("prompt_id,score\n1,high\n"),
              HasSubstr("x.csv, row 1: column 'score': expected a number, found 'high'"));
  EXPECT_THAT(problem("prompt_id,score\n1,nan\n"), HasSubstr("nan is not a finite number"));
  EXPECT_THAT(problem("prompt_id,score,score\n1,1,2\n"),
              HasSubstr("two columns are named 'score'"));
  EXPECT_THAT(problem("prompt_id,score\n1,\n"), HasSubstr("no score"));
}

TEST(ReadScoreFiles, IdsOfTwoTypesAreAnErrorWhereTheyAreSpelledDifferently) {
  const TempFolder folder;
  const auto read = [&](std::string_view a, std::string_view b) {
    const std::vector<std::filesystem::path> files = {folder.file("a.jsonl", a),
                                                      folder.file("b.jsonl", b)};
    return read_score_files(files, {});
  };
  const std::string number = R"({"prompt_id":1,"score":1}
{"prompt_id":10,"score":1}
)";
  EXPECT_EQ(read(number, "{\"prompt_id\":\"1\",\"score\":1}\n").size(), 3u);
  EXPECT_EQ(read(number, "{\"prompt_id\":\"0x\",\"score\":1}\n{\"prompt_id\":\"10\",\"score\":1}\n")
                .size(),
            4u);
  // Of two digits, 10 is the same and 01 is not.
  const std::string padded = R"({"prompt_id":"10","score":1}
{"prompt_id":"01","score":1}
)";
  for (const bool swap : {false, true}) {
    const Error error = error_of([&] { swap ? read(padded, number) : read(number, padded); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), HasSubstr("spell prompt_id differently: the column is number in "
                                           "the one ('1') and string in the other ('01')"));
  }
  EXPECT_THAT(error_of([&] { read(number, "{\"prompt_id\":\"x\",\"score\":1}\n"); }).message(),
              HasSubstr("share no prompt_id"));
}

TEST(ReadPreferences, ReadsCsv) {
  const TempFolder folder;
  const auto rows =
      read_preferences(folder.file("p.csv", "prompt,chosen,rejected,margin\nHi,yes,1,0.5\n"), {});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].rejected, (Conversation{{"user", "Hi"}, {"assistant", "1"}}));
  EXPECT_EQ(rows[0].margin, 0.5);
}

TEST(ReadResponses, SeveralTurnsAndAlpacaInputs) {
  const auto rows = responses(
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]})"
      "\n"
      R"({"instruction":"Translate.","input":"Bonjour","output":"Hello"})");
  EXPECT_EQ(rows[0].prompt,
            (Conversation{{"system", "s"}, {"user", "a"}, {"assistant", "b"}, {"user", "c"}}));
  EXPECT_EQ(rows[0].response, "d");
  EXPECT_EQ(rows[1].prompt, (Conversation{{"user", "Translate.\n\nBonjour"}}));
}

TEST(ReadResponses, PolicyFromColumnsFileOrOption) {
  const std::string lines = R"({"prompt":"a","response":"x","generator":"g"})"
                            "\n"
                            R"({"prompt":"b","response":"x","model":"m"})"
                            "\n"
                            R"({"prompt":"c","response":"x","policy":"p","model":"m"})"
                            "\n"
                            R"({"prompt":"d","response":"x"})";
  const auto rows = responses(lines);
  EXPECT_EQ(rows[0].policy, "g");
  EXPECT_EQ(rows[1].policy, "m");
  EXPECT_EQ(rows[2].policy, "p");
  EXPECT_EQ(rows[3].policy, "bot");
  for (const Response& row : responses(lines, {.policy = "forced"}))
    EXPECT_EQ(row.policy, "forced");
}

TEST(ReadResponses, RepeatsAreNumberedPerPolicy) {
  const std::string id = prompt_id_of(kHi);
  const auto rows = responses(R"({"prompt":"Hi","response":"1","policy":"a"})"
                              "\n"
                              R"({"prompt":"Hi","response":"2","policy":"b"})"
                              "\n"
                              R"({"prompt":"Hi","response":"3","policy":"a"})"
                              "\n"
                              R"({"prompt":"Hi","response":"4","policy":"a"})");
  EXPECT_EQ(rows[0].prompt_id, id);
  EXPECT_EQ(rows[1].prompt_id, id);
  EXPECT_EQ(rows[2].prompt_id, id + "-2");
  EXPECT_EQ(rows[3].prompt_id, id + "-3");
}

TEST(ReadResponses, GivenIdsAreKeptAndRepeatsSkipTakenNumbers) {
  const auto rows = responses(R"({"prompt_id":"x-2","prompt":"Hi","response":"1"})"
                              "\n"
                              R"({"prompt_id":"x","prompt":"Hi","response":"2"})"
                              "\n"
                              R"({"prompt_id":"x","prompt":"Hi","response":"3"})"
                              "\n"
                              R"({"prompt_id":17,"prompt":"Hi","response":"4"})");
  EXPECT_EQ(rows[0].prompt_id, "x-2");
  EXPECT_EQ(rows[1].prompt_id, "x");
  EXPECT_EQ(rows[2].prompt_id, "x-3");
  EXPECT_EQ(rows[3].prompt_id, "17");
}

TEST(ReadResponses, SamplesShareTheIdAndMayNotRepeat) {
  const auto rows = responses(R"({"prompt":"Hi","response":"1","sample":0})"
                              "\n"
                              R"({"prompt":"Hi","response":"2","sample":1})");
  EXPECT_EQ(rows[0].prompt_id, rows[1].prompt_id);
  EXPECT_EQ(rows[1].sample, 1);
  EXPECT_THAT(response_error(R"({"prompt":"Hi","response":"1","sample":1})"
                             "\n"
                             R"({"prompt":"Hi","response":"2","sample":1})"),
              HasSubstr("bot.jsonl:2: prompt_id"));
}

TEST(ReadResponses, EmptyResponsesAreKept) {
  EXPECT_EQ(responses(R"({"prompt":"Hi","response":""})").at(0).response, "");
}

TEST(ReadResponses, InvalidRowsAreReported) {
  EXPECT_THAT(
      response_error(R"({"prompt":5,"response":"x"})"),
      HasSubstr(
          "bot.jsonl:1: column 'prompt': expected a string or a list of messages, found number"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":5})"),
              HasSubstr("'response': expected a string, found number"));
  EXPECT_THAT(response_error(R"({"prompt":"a","answer":"x"})"),
              HasSubstr("the row has the columns: prompt, answer"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":null})"), HasSubstr("response (null)"));
  EXPECT_THAT(response_error(R"({"response":"x"})"), HasSubstr("no prompt"));
  EXPECT_THAT(response_error(R"({"prompt":[],"response":"x"})"),
              HasSubstr("list of messages is empty"));
  EXPECT_THAT(response_error(R"({"prompt":[{"role":"user"}],"response":"x"})"),
              HasSubstr("message 1: expected a string or a list of text parts 'content'"));
  EXPECT_THAT(response_error(R"({"prompt":["Hi"],"response":"x"})"),
              HasSubstr("message 1: expected an object"));
  EXPECT_THAT(response_error(R"({"prompt":[{"role":"assistant","content":"y"}],"response":"x"})"),
              HasSubstr("ends with the assistant's turn"));
  EXPECT_THAT(response_error(R"({"messages":[{"role":"user","content":"y"}]})"),
              HasSubstr("assistant's turn at the end"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":"x","policy":3})"),
              HasSubstr("'policy': expected a string"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":"x","sample":1.5})"),
              HasSubstr("'sample': expected a whole number"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":"x","sample":-1})"),
              HasSubstr("not between 0"));
  EXPECT_THAT(response_error(R"({"prompt":"a","response":"x","prompt_id":""})"),
              HasSubstr("empty text"));
}

TEST(ReadResponses, SkipsBadRowsUpToTheLimit) {
  const std::string lines = R"({"prompt":"a","response":"x"})"
                            "\n{\"prompt\":\"b\"}\n"
                            R"({"prompt":"c","response":"z"})";
  EXPECT_EQ(responses(lines, {.max_bad_rows = 1}).size(), 2u);
  EXPECT_THAT(response_error(lines), HasSubstr("bot.jsonl:2"));
}

TEST(ReadPrompts, FromResponsesMessagesAndPairs) {
  for (
      const char* line : {
          R"({"prompt":"Hi"})",
          R"({"instruction":"Hi","output":"Yo"})",
          R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]})",
          R"({"messages":[{"role":"user","content":"Hi"}]})",
          R"({"chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})",
          R"({"prompt":"Hi","chosen":"a","rejected":"b"})",
      }) {
    const auto rows = prompts(line);
    ASSERT_EQ(rows.size(), 1u) << line;
    EXPECT_EQ(rows[0].messages, kHi) << line;
    EXPECT_EQ(rows[0].prompt_id, prompt_id_of(kHi)) << line;
  }
}

TEST(ReadPrompts, RepeatsAreNumbered) {
  const auto rows = prompts("{\"prompt\":\"Hi\"}\n{\"prompt\":\"Hi\"}\n");
  EXPECT_EQ(rows[1].prompt_id, prompt_id_of(kHi) + "-2");
}

TEST(ReadScores, ErrorsAndScores) {
  const auto rows = scores(R"({"prompt_id":"a","score":1.5})"
                           "\n"
                           R"({"prompt_id":"b","score":null,"error":"too long"})"
                           "\n"
                           R"({"prompt_id":"c","score":-2,"error":null})");
  EXPECT_EQ(rows[0].score, 1.5f);
  EXPECT_EQ(rows[1].error, "too long");
  EXPECT_EQ(rows[2].score, -2.0f);
  EXPECT_FALSE(rows[2].error.has_value());
}

TEST(ReadScores, IdsDefaultToThePromptHash) {
  const auto rows = scores(R"({"prompt_id":"a","score":1})"
                           "\n"
                           R"({"prompt":"Hi","response":"x","score":2})");
  EXPECT_EQ(rows[0].prompt_id, "a");
  EXPECT_EQ(rows[1].prompt_id, prompt_id_of(kHi));
}

TEST(ReadScores, InvalidScoresAreReported) {
  const auto message = [](std::string_view line) {
    return error_of([&] { scores(line); }).message();
  };
  EXPECT_THAT(message(R"({"prompt_id":"a","score":"1"})"),
              HasSubstr("'score': expected a number, found string"));
  EXPECT_THAT(message(R"({"prompt_id":"a","score":null})"), HasSubstr("no score"));
  EXPECT_THAT(message(R"({"prompt_id":"a","score":1e300})"),
              HasSubstr("outside the range of float32"));
  EXPECT_THAT(message("{\"prompt_id\":\"a\",\"score\":1}\n{\"prompt_id\":\"b\",\"score\":NaN}"),
              HasSubstr("bot.jsonl:2"));
}

TEST(ReadScoreFiles, TwoFilesOfOnePolicyAreAnError) {
  const TempFolder folder;
  const fs::path a = folder.file("a.jsonl", R"({"prompt_id":"x","score":1})");
  const fs::path b = folder.file("b.jsonl", R"({"prompt_id":"x","score":2})");
  const fs::path c = folder.file("c.jsonl", R"({"prompt_id":"x","score":2,"policy":"a"})");
  EXPECT_EQ(read_score_files(std::vector{a, b}, {}).size(), 2u);
  const Error error = error_of([&] { read_score_files(std::vector{a, b, c}, {}); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  for (const char* part : {"a.jsonl", "c.jsonl", "policy 'a'"})
    EXPECT_THAT(error.message(), HasSubstr(part));
}

TEST(ForEachScoredResponse, AnErrorOfTheCallerIsNotABadRow) {
  const TempFolder folder;
  const fs::path path = folder.file("a.jsonl", R"({"prompt":"Hi","response":"x","score":1})");
  const auto refuse = [](ScoredResponse&&) { throw Error(ErrorKind::kInput, "the caller's own"); };
  EXPECT_EQ(
      error_of([&] { for_each_scored_response(path, {.max_bad_rows = 5}, refuse); }).message(),
      "the caller's own");
}

}  // namespace
}  // namespace charm::storage
