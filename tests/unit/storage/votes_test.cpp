#include "charm/storage/votes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

class VotesTest : public ::testing::Test {
 protected:
  fs::path write(const std::vector<Json>& rows, const char* name = "votes.jsonl") {
    std::string text;
    for (const Json& row : rows) text += row.dump() + "\n";
    write_file(folder_ / name, text);
    return folder_ / name;
  }
  std::vector<VoteTexts> read(const fs::path& path) {
    std::vector<VoteTexts> votes;
    for_each_vote(path, {}, [&](VoteTexts&& vote) { votes.push_back(std::move(vote)); });
    return votes;
  }
  static Json turns(int count, const std::string& name) {
    Json list = Json::array();
    for (int i = 1; i <= count; ++i) {
      list.push_back({{"content", "question " + std::to_string(i)}, {"role", "user"}});
      list.push_back({{"content", name + std::to_string(i)}, {"role", "assistant"}});
    }
    return list;
  }

  const testing::TempFolder folder_;
};

TEST_F(VotesTest, MtBenchConversationsEndAtTheJudgedTurn) {
  Json row = {{"question_id", 81},
              {"model_a", "x"},
              {"model_b", "y"},
              {"winner", "tie"},
              {"judge", "expert_1"},
              {"conversation_a", turns(2, "x")},
              {"conversation_b", turns(2, "y")},
              {"turn", 1}};
  Json second = row;
  second["turn"] = 2;
  const auto votes = read(write({row, second}));
  ASSERT_EQ(votes.size(), 2u);
  EXPECT_EQ(votes[0].conversation_a.size(), 2u);
  EXPECT_EQ(votes[0].conversation_a.back().content, "x1");
  EXPECT_EQ(votes[1].conversation_b.back().content, "y2");
  EXPECT_EQ(votes[0].vote.prompt_id, votes[1].vote.prompt_id);
  EXPECT_EQ(votes[0].vote.prompt_id, prompt_id_of({{"user", "question 1"}}));
  EXPECT_EQ(votes[0].vote.question, "81");
  EXPECT_EQ(votes[0].vote.judge, "expert_1");
  second["turn"] = 3;
  EXPECT_ERROR(kInput, "turn is 3, but conversation_a has 2 responses", read(write({second})));
}

TEST_F(VotesTest, ArenaConversationsAreWhole) {
  // 140k: contents are lists of parts; the expert set: the JSON of a list in a text.
  Json part = Json::array(
      {{{"role", "user"}, {"content", Json::array({{{"type", "text"}, {"text", "question 1"}}})}},
       {{"role", "assistant"}, {"content", Json::array({{{"type", "text"}, {"text", "hello"}}})}}});
  const auto votes = read(write({{{"model_a", "x"},
                                  {"model_b", "y"},
                                  {"winner", "both_bad"},
                                  {"conversation_a", part},
                                  {"conversation_b", turns(2, "y").dump()}}}));
  // Texts, as the templates of text models take them.
  EXPECT_EQ(votes[0].conversation_a,
            (Conversation{{"user", "question 1"}, {"assistant", "hello"}}));
  EXPECT_EQ(votes[0].conversation_b.size(), 4u);
  EXPECT_EQ(votes[0].vote.outcome, 0.5);
}

TEST_F(VotesTest, KaggleTurnsAreJsonInTexts) {
  write_file(
      folder_ / "train.csv",
      "id,model_a,model_b,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n"
      "1,x,y,\"[\"\"one\"\",\"\"two\"\"]\",\"[\"\"a1\"\",null]\",\"[\"\"b1\"\",\"\"b2\"\"]\",0,1,"
      "0\n");
  const auto votes = read(folder_ / "train.csv");
  ASSERT_EQ(votes.size(), 1u);
  EXPECT_EQ(votes[0].vote.outcome, 0.0);
  ASSERT_EQ(votes[0].conversation_a.size(), 4u);
  EXPECT_EQ(votes[0].conversation_a.back().content, "");
  EXPECT_EQ(votes[0].conversation_b.back().content, "b2");
}

TEST_F(VotesTest, PpeCallsResponsesOneAndTwo) {
  const auto votes = read(write({{{"question_id", "q"},
                                  {"model_a", "x"},
                                  {"model_b", "y"},
                                  {"winner", "model_a"},
                                  {"prompt", "hi"},
                                  {"response_1", "one"},
                                  {"response_2", "two"}}}));
  EXPECT_EQ(votes[0].conversation_a.back().content, "one");
  EXPECT_EQ(votes[0].conversation_b.back().content, "two");
  EXPECT_EQ(votes[0].conversation_b.front().content, "hi");
}

TEST_F(VotesTest, PromptsAndIdsOfDigitsStayTexts) {
  write_file(folder_ / "votes.csv",
             "question_id,prompt_id,judge,model_a,model_b,prompt,response_a,response_b,winner\n"
             "80,007,12,x,y,42,7,nan,model_a\n");
  const auto votes = read(folder_ / "votes.csv");
  ASSERT_EQ(votes.size(), 1u);
  EXPECT_EQ(votes[0].vote.question, "80");
  EXPECT_EQ(votes[0].vote.prompt_id, "007");
  EXPECT_EQ(votes[0].vote.judge, "12");
  EXPECT_EQ(votes[0].conversation_a, (Conversation{{"user", "42"}, {"assistant", "7"}}));
  EXPECT_EQ(votes[0].conversation_b.back().content, "nan");

  Json row = {{"question_id", 80.0}, {"model_a", "x"},    {"model_b", "y"},   {"winner", "tie"},
              {"prompt", "[1, 2]"},  {"response_a", "3"}, {"response_b", "4"}};
  const auto bracketed = read(write({row}));
  EXPECT_EQ(bracketed[0].vote.question, "80");
  EXPECT_EQ(bracketed[0].conversation_a, (Conversation{{"user", "[1, 2]"}, {"assistant", "3"}}));
  row["prompt"] = 42;
  EXPECT_ERROR(kInput, "a text is 42, expected a string", read(write({row})));
}

TEST_F(VotesTest, VotesWithoutTextsAreRefused) {
  EXPECT_ERROR(kInput, "votes.jsonl:1: the vote has no texts: expected conversation_a",
               read(write({{{"model_a", "x"}, {"model_b", "y"}, {"winner", "tie"}}})));
  EXPECT_ERROR(kInput, "winner is \"x\"",
               read(write({{{"model_a", "x"},
                            {"model_b", "y"},
                            {"winner", "x"},
                            {"prompt", "p"},
                            {"response_a", "1"},
                            {"response_b", "2"}}})));
}

TEST_F(VotesTest, BothSidesAnswerOnePrompt) {
  Json row = {
      {"model_a", "x"},
      {"model_b", "y"},
      {"winner", "tie"},
      {"conversation_a",
       {{{"role", "user"}, {"content", "q"}}, {{"role", "assistant"}, {"content", "one"}}}},
      {"conversation_b",
       {{{"role", "user"}, {"content", "another"}}, {{"role", "assistant"}, {"content", "two"}}}}};
  EXPECT_ERROR(kInput, "votes.jsonl:1: conversation_a and conversation_b begin with different",
               read(write({row})));
  row["conversation_b"][0]["content"] = "q";
  EXPECT_EQ(read(write({row})).size(), 1u);
}

TEST_F(VotesTest, ScoredVotesAreReadBack) {
  VoteTexts texts;
  texts.vote = {.prompt_id = "p1", .model_a = "x", .model_b = "y", .outcome = 0.0};
  texts.vote.judge = "ann";
  texts.vote.turn = 2;
  texts.conversation_a = {{"user", "q"}, {"assistant", "# head\n**b**"}};
  texts.conversation_b = {{"user", "q"}, {"assistant", "plain"}};
  ScoredVote scored;
  scored.score_a = 1.5f;
  scored.score_b = -2.25f;
  scored.style_a = conversation_style(texts.conversation_a);
  scored.style_b = conversation_style(texts.conversation_b);
  ScoredVote failed;
  failed.error = "too long";
  for (const char* name : {"votes.parquet", "scored.jsonl"}) {
    const fs::path path = folder_ / name;
    write_scored_votes(path, 2, [&](std::size_t row) {
      return ScoredVoteRow{.texts = &texts, .scored = row == 0 ? &scored : &failed};
    });
    const auto votes = read_scored_votes(path, {}, /*with_styles=*/true);
    ASSERT_EQ(votes.size(), 2u);
    EXPECT_EQ(votes[0].vote.prompt_id, "p1");
    EXPECT_EQ(votes[0].vote.outcome, 0.0);
    EXPECT_EQ(votes[0].vote.judge, "ann");
    EXPECT_EQ(votes[0].vote.turn, 2);
    EXPECT_EQ(votes[0].score_b, -2.25f);
    EXPECT_EQ(votes[0].style_a->headers, 1.0);
    EXPECT_EQ(votes[0].style_a->bold, 1.0);
    EXPECT_EQ(votes[1].error, "too long");
    EXPECT_EQ(votes[1].style_b->length, 5.0);  // counted in the conversation
  }
}

}  // namespace
}  // namespace charm::storage
