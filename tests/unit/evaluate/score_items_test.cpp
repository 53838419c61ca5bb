#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "charm/evaluate/scored_rows.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

/// Scores a response by its length, reports one row at a time from the last to the first, and
/// counts what it was asked.
struct LengthRule {
  std::size_t num_scored = 0;
  std::size_t stop_after = SIZE_MAX;  ///< then fails like a killed process
  bool reports = true;

  std::vector<score::RowScore> operator()(const score::RowStore& store,
                                          std::span<const std::size_t> rows,
                                          const score::ScoredFn& on_scored) {
    std::vector<score::RowScore> results(rows.size());
    for (std::size_t k = rows.size(); k > 0; --k) {
      const std::size_t i = k - 1;
      if (num_scored == stop_after) throw std::runtime_error("killed");
      ++num_scored;
      results[i].score = static_cast<float>(store[rows[i]].response.size()) + 0.1f;
      if (store[rows[i]].response == "refuse") results[i].error = "the template refused it";
      if (reports) on_scored({&i, 1}, {&results[i], 1});
    }
    return results;
  }
};

class ScoreItems : public testing::Test {
 protected:
  void SetUp() override {
    output_ = fs::path(testing::TempDir()) /
              ("charm_score_items_" + std::to_string(::getpid()) + ".parquet");
    fs::remove(storage::journal_path(output_));
    rows_ = {style_row("chat", "1", "p", {}, {}), style_row("chat", "2", "p", {}, {}),
             style_row("math", "3", "q", {}, {})};
    rows_[1].item.chosen = {"one", "three", ""};
  }
  void TearDown() override { fs::remove(storage::journal_path(output_)); }

  fs::path output_;
  std::vector<ScoredEvalItem> rows_;
};

TEST_F(ScoreItems, ScoresComeBackInTheOrderOfTexts) {
  storage::Journal journal(output_, "key");
  LengthRule rule;
  const ScoredItems scored = score_items(rows_, std::ref(rule), journal);
  EXPECT_EQ(rule.num_scored, 18u);
  ASSERT_EQ(scored.rows.size(), 3u);
  EXPECT_EQ(scored.rows[1].score_chosen, (std::vector<double>{3.1f, 5.1f, 0.1f}));
  EXPECT_EQ(scored.rows[1].score_rejected, (std::vector<double>{1.1f, 1.1f, 1.1f}));
  EXPECT_THAT(scored.errors, testing::IsEmpty());
}

TEST_F(ScoreItems, AScorerThatOnlyReturnsIsEnough) {
  storage::Journal journal(output_, "key");
  LengthRule rule{.reports = false};
  EXPECT_EQ(score_items(rows_, std::ref(rule), journal).rows[1].score_chosen[1], 5.1f);
}

TEST_F(ScoreItems, AnInterruptedRunContinuesWithEqualScores) {
  {
    storage::Journal journal(output_, "key");
    LengthRule dying{.stop_after = 8};
    EXPECT_THROW(score_items(rows_, std::ref(dying), journal), std::runtime_error);
  }
  storage::Journal journal(output_, "key");
  LengthRule rule;
  const ScoredItems scored = score_items(rows_, std::ref(rule), journal);
  EXPECT_EQ(rule.num_scored, 10u);  // the 8 of the first run were kept
  EXPECT_EQ(scored.rows[1].score_chosen, (std::vector<double>{3.1f, 5.1f, 0.1f}));
  EXPECT_EQ(scored.rows[2].score_chosen, (std::vector<double>{1.1f, 1.1f, 1.1f}));
}

TEST_F(ScoreItems, AFailedTextFailsItsRowAlone) {
  rows_[0].item.rejected[2] = "refuse";
  storage::Journal journal(output_, "key");
  LengthRule rule;
  const ScoredItems scored = score_items(rows_, std::ref(rule), journal);
  EXPECT_TRUE(scored.rows[0].score_chosen.empty());
  EXPECT_EQ(scored.rows[1].score_chosen.size(), 3u);
  ASSERT_EQ(scored.errors.size(), 1u);
  EXPECT_EQ(scored.errors[0], "row 1 of chat: the template refused it");
}

}  // namespace
}  // namespace charm::evaluate
