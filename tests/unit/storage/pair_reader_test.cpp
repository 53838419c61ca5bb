#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/records/preference_pair.h"
#include "charm/storage/record_reader.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

std::vector<PreferencePair> pairs(std::string_view lines) {
  const TempFolder folder;
  return read_preferences(folder.file("pairs.jsonl", lines), {});
}

const Conversation kChosen = {{"user", "Hi"}, {"assistant", "good"}};
const Conversation kRejected = {{"user", "Hi"}, {"assistant", "bad"}};

TEST(ReadPreferences, AcceptsAllFormats) {
  for (
      const char* line : {
          // strings beside a prompt
          R"({"prompt":"Hi","chosen":"good","rejected":"bad"})",
          R"({"instruction":"Hi","chosen":"good","rejected":"bad"})",
          // TRL, explicit prompt
          R"({"prompt":[{"role":"user","content":"Hi"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}]})",
          // TRL, implicit prompt
          R"({"chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"bad"}]})",
          // whole conversations beside their prompt, as UltraFeedback has them
          R"({"prompt":"Hi","chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"bad"}]})",
          // transcripts, also beside a prompt or with their prompt as one
          R"({"prompt":"\n\nHuman: Hi\n\nAssistant:","chosen":"good","rejected":"bad"})",
          R"({"prompt":"\n\nHuman: Hi\n\nAssistant: ","chosen":"\n\nHuman: Hi\n\nAssistant: good","rejected":"\n\nHuman: Hi\n\nAssistant: bad"})",
          R"({"prompt":"Hi","chosen":"\n\nHuman: Hi\n\nAssistant: good","rejected":"\n\nHuman: Hi\n\nAssistant: bad"})",
          "{\"chosen\":\"\\n\\nHuman: Hi\\n\\nAssistant: good\",\"rejected\":\"\\n\\nHuman: "
          "Hi\\n\\nAssistant: bad\"}",
      }) {
    const auto rows = pairs(line);
    ASSERT_EQ(rows.size(), 1u) << line;
    EXPECT_EQ(rows[0].chosen, kChosen) << line;
    EXPECT_EQ(rows[0].rejected, kRejected) << line;
    EXPECT_EQ(rows[0].prompt_id, prompt_id_of({{"user", "Hi"}})) << line;
  }
}

TEST(ReadPreferences, PairsOfOnePromptShareItsId) {
  const auto rows = pairs(R"({"prompt":"Hi","chosen":"a","rejected":"b"})"
                          "\n"
                          R"({"prompt":"Hi","chosen":"c","rejected":"d"})"
                          "\n"
                          R"({"prompt_id":"given","prompt":"Hi","chosen":"c","rejected":"d"})");
  EXPECT_EQ(rows[0].prompt_id, rows[1].prompt_id);
  EXPECT_EQ(rows[2].prompt_id, "given");
}

TEST(ReadPreferences, TranscriptsOfSeveralTurns) {
  const auto rows = pairs(
      R"({"chosen":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d","rejected":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: e"})");
  EXPECT_EQ(rows[0].chosen,
            (Conversation{{"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}}));
  EXPECT_EQ(rows[0].prompt_id, prompt_id_of({{"user", "a"}, {"assistant", "b"}, {"user", "c"}}));
}

TEST(ReadPreferences, TurnsOfHelpSteer2) {
  const auto rows = pairs(
      R"({"prompt":"a\n<extra_id_1>Assistant\nb\n\n\n<extra_id_1>User\nc","chosen":"d","rejected":"e"}
         {"prompt":"a <extra_id_1> b","chosen":"d","rejected":"e"}
         {"prompt":"a\n<extra_id_1>Assistant\nb","chosen":"d","rejected":"e"})");
  EXPECT_EQ(
      rows[0].chosen,
      (Conversation{{"user", "a"}, {"assistant", "b\n\n"}, {"user", "c"}, {"assistant", "d"}}));
  EXPECT_EQ(rows[1].chosen.size(), 2u) << "a text that speaks of the mark";
  EXPECT_EQ(rows[2].chosen.size(), 2u) << "not a prompt of that form";
}

TEST(ReadPreferences, APromptWithOtherWordsThanTheConversationsIsNamed) {
  const std::string sides =
      R"("chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"bad"}]})";
  const auto warning = [&](const std::string& prompt) {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(pairs("{\"prompt\":" + prompt + "," + sides).front().chosen, kChosen);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning(R"("Bye")"), HasSubstr("column 'prompt' differs from the conversations"));
  EXPECT_EQ(warning(R"("Hi ")"), "");
  EXPECT_THAT(warning(R"([{"role":"system","content":"s"},{"role":"user","content":"Hi"}])"),
              HasSubstr("those count"));
  EXPECT_EQ(warning(R"([{"role":"user","content":"Hi"}])"), "");
}

TEST(ReadPreferences, PromptColumnsOfOtherNames) {
  const TempFolder folder;
  const auto file =
      folder.file("orca.jsonl", R"({"question":"Hi","chosen":"good","rejected":"bad"})");
  const auto rows = read_preferences(file, {.columns = {.prompt = "question"}});
  EXPECT_EQ(rows[0].chosen, kChosen);
  EXPECT_THAT(error_of([&] { read_preferences(file, {}); }).message(),
              HasSubstr("--prompt-column; the row has the columns: question, chosen, rejected"));
}

TEST(ReadPreferences, ScoresAndPoliciesAreOptional) {
  const auto rows = pairs(
      R"({"prompt":"Hi","chosen":"a","rejected":"b","score_chosen":2,"score_rejected":0.5,"margin":1.5,"policy_chosen":"x","policy_rejected":"y"})"
      "\n"
      R"({"prompt":"Hi","chosen":"a","rejected":"b","chosen_model":"m","rejected_model":"n"})");
  EXPECT_EQ(rows[0].score_chosen, 2.0);
  EXPECT_EQ(rows[0].margin, 1.5);
  EXPECT_EQ(rows[0].policy_rejected, "y");
  EXPECT_FALSE(rows[1].margin.has_value());
  EXPECT_EQ(rows[1].policy_chosen, "m");
  EXPECT_EQ(rows[1].policy_rejected, "n");
}

TEST(ReadPreferences, InvalidPairsAreReported) {
  const auto message = [](std::string_view line) {
    const Error error = error_of([&] { pairs(line); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.message();
  };
  EXPECT_THAT(message(R"({"chosen":"a","rejected":"b"})"),
              HasSubstr("pairs.jsonl:1: no prompt: column 'chosen' is a plain text"));
  EXPECT_THAT(message(R"({"prompt":"Hi","chosen":"a"})"), HasSubstr("columns: prompt, chosen"));
  EXPECT_THAT(
      message(
          R"({"chosen":[{"role":"user","content":"Hi"}],"rejected":[{"role":"user","content":"Hi"}]})"),
      HasSubstr("ends with the assistant's turn"));
  EXPECT_THAT(
      message(
          R"({"chosen":[{"role":"user","content":"A"},{"role":"assistant","content":"x"}],"rejected":[{"role":"user","content":"B"},{"role":"assistant","content":"x"}]})"),
      HasSubstr("do not share a prompt"));
  EXPECT_THAT(message(R"({"chosen":{"role":[],"content":[]},"rejected":{"role":[],"content":[]}})"),
              HasSubstr("empty"));
  EXPECT_THAT(message(R"({"prompt":"Hi","chosen":"a","rejected":"b","margin":"big"})"),
              HasSubstr("'margin': expected a number"));
}

}  // namespace
}  // namespace charm::storage
