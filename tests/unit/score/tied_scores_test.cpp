#include "charm/score/tied_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace charm::score {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct TiedRow {
  const char* policy;
  const char* prompt;
  const char* response;
  float score;
};

std::vector<std::string> warnings_of_rows(const std::vector<TiedRow>& rows,
                                          std::size_t failed = SIZE_MAX) {
  RowStore store;
  std::vector<RowScore> results;
  for (const TiedRow& row : rows) {
    Response response;
    response.policy = row.policy;
    response.prompt = {{"user", row.prompt}};
    response.response = row.response;
    store.add(std::move(response));
    results.push_back({.score = row.score, .error = {}});
  }
  if (failed < results.size()) results[failed].error = "too long";
  return tie_warnings(store, results);
}

TEST(TieWarnings, APolicyOfOneScoreIsNamed) {
  EXPECT_THAT(warnings_of_rows({{"a", "p", "x", 1.5f},
                                {"a", "q", "y", 1.5f},
                                {"b", "p", "x", 0.5f},
                                {"b", "q", "y", 2.0f}}),
              ElementsAre(AllOf(HasSubstr("policy 'a': all 2 responses have the score 1.5"),
                                HasSubstr("charm inspect --sample"))));
}

TEST(TieWarnings, EqualTextsAndFailedRowsMayTie) {
  EXPECT_THAT(warnings_of_rows({{"a", "p", "x", 1.5f}, {"a", "p", "x", 1.5f}}), IsEmpty());
  EXPECT_THAT(warnings_of_rows({{"a", "p", "x", 1.5f}}), IsEmpty());
  EXPECT_THAT(warnings_of_rows({{"a", "p", "x", 1.5f}, {"a", "q", "y", 1.5f}}, 1), IsEmpty());
  EXPECT_THAT(warnings_of_rows({}), IsEmpty());
}

TEST(TieWarnings, ScoresOfThePromptAlone) {
  const std::vector<TiedRow> rows = {{"a", "p", "x", 1.0f},
                                     {"a", "q", "x", 2.0f},
                                     {"b", "p", "y", 1.0f},
                                     {"b", "q", "y", 2.0f},
                                     {"b", "r", "y", 3.0f}};
  EXPECT_THAT(warnings_of_rows(rows), ElementsAre(AllOf(HasSubstr("for all 2 prompts"),
                                                        HasSubstr("charm inspect --sample"))));
  std::vector<TiedRow> distinct = rows;
  distinct[3].score = 2.5f;
  EXPECT_THAT(warnings_of_rows(distinct), IsEmpty());
}

TEST(IgnoresResponse, ATemplateOfThePromptAlone) {
  const auto ignores = [](const std::string& source) {
    const auto made = text::ChatTemplate::from_source(source, {}, "2024-07-26", "t.jinja");
    return ignores_response(made, {{"user", "Hi"}});
  };
  EXPECT_TRUE(ignores("{{ messages[0].content }}"));
  EXPECT_FALSE(ignores("{% for m in messages %}{{ m.content }}{% endfor %}"));
  EXPECT_FALSE(ignores("{{ raise_exception('no') }}"));
}

}  // namespace
}  // namespace charm::score
