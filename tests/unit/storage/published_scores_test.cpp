#include "charm/storage/published_scores.h"

#include <gmock/gmock.h>

#include "charm/records/response.h"
#include "charm/records/score.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using ::testing::ElementsAre;

TEST(PublishedScores, BothForms) {
  const testing::TempFolder folder;
  const auto one = read_published_scores(folder.file("one.json", R"({
    "chat_template": "tulu", "id": [30, 31], "model": "org/rm", "results": [1, 0],
    "scores_chosen": [1.5, [-2.0]], "scores_rejected": [0.5, [3.0]],
    "subset": ["alpacaeval-easy", "hep-cpp"]})"));
  ASSERT_TRUE(one.has_value());
  ASSERT_EQ(one->size(), 2U);
  EXPECT_EQ(one->at(0).id, "30");
  EXPECT_EQ(one->at(1).subset, "hep-cpp");
  EXPECT_THAT(one->at(1).chosen, ElementsAre(-2.0));
  EXPECT_THAT(one->at(1).rejected, ElementsAre(3.0));
  const auto two = read_published_scores(folder.file("two.json", R"({
    "id": ["7", "ref:1"], "num_correct": [1, 2], "results": [1, 0.5],
    "scores": [[4.0, 1.0, 2.0, 3.0], [1.0, 2.0, 0.5]], "subset": ["Math", "Ties"]})"));
  ASSERT_TRUE(two.has_value());
  EXPECT_THAT(two->at(0).rejected, ElementsAre(1.0, 2.0, 3.0));
  EXPECT_THAT(two->at(1).chosen, ElementsAre(1.0, 2.0));
  const std::vector<Score> scores = scores_of(*two);
  ASSERT_EQ(scores.size(), 7U);
  EXPECT_EQ(scores[3].prompt_id, "Math/7");
  EXPECT_EQ(scores[3].policy, "rejected");
  EXPECT_EQ(scores[3].sample, 2);
  EXPECT_EQ(scores[3].score, 3.0);
}

TEST(PublishedScores, OtherFilesAreNotTheirs) {
  const testing::TempFolder folder;
  EXPECT_FALSE(read_published_scores(folder.file("a.json", "[{\"id\": 1}]")));
  EXPECT_FALSE(read_published_scores(folder.file("b.json", R"({"id": [1], "subset": ["x"]})")));
  EXPECT_FALSE(read_published_scores(folder.file("c.jsonl", R"({"id": 1, "score": 2})")));
  EXPECT_FALSE(read_published_scores(folder / "absent.json"));
}

TEST(PublishedScores, ColumnsThatDoNotFitAreNamed) {
  const testing::TempFolder folder;
  const auto read = [&](const char* text) {
    return read_published_scores(folder.file("x.json", text));
  };
  EXPECT_ERROR(kInput, "'scores_rejected' has 1 values",
               read(R"({"id": [1, 2], "subset": ["a", "b"],
    "scores_chosen": [1, 2], "scores_rejected": [1]})"));
  EXPECT_ERROR(kInput, "'scores_chosen' is \"high\"", read(R"({"id": [1], "subset": ["a"],
    "scores_chosen": ["high"], "scores_rejected": [1]})"));
  EXPECT_ERROR(kInput, "'num_correct' is 3", read(R"({"id": [1], "subset": ["a"],
    "scores": [[1, 2]], "num_correct": [3]})"));
}

TEST(BenchmarkResponses, AreThePoliciesChosenAndRejected) {
  const testing::TempFolder folder;
  const fs::path file = folder.file(
      "filtered.jsonl",
      R"({"id": 3, "subset": "Math", "prompt": "p", "chosen": ["a"], "rejected": ["b", "c"]}
)");
  EXPECT_TRUE(holds_benchmark_rows(file));
  const std::vector<Response> responses = read_benchmark_responses(file, {});
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_EQ(responses[0].policy, "chosen");
  EXPECT_EQ(responses[2].prompt_id, "Math/3");
  EXPECT_EQ(responses[2].response, "c");
  EXPECT_EQ(responses[2].sample, 1);
  EXPECT_FALSE(holds_benchmark_rows(
      folder.file("responses.jsonl", R"({"prompt": "p", "response": "a", "policy": "x"})")));
}

}  // namespace
}  // namespace charm::storage
