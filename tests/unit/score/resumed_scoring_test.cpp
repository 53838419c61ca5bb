#include "charm/score/resumed_scoring.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "tests/support/expect_error.h"

namespace charm::score {
namespace {

/// Scores a response by its length, last row first, one at a time; "reject" gets an error.
struct LengthRule {
  std::size_t num_scored = 0;
  std::size_t stop_after = SIZE_MAX;  ///< then fails, like a killed process

  std::vector<RowScore> operator()(const RowStore& store, std::span<const std::size_t> rows,
                                   const ScoredFn& on_scored) {
    std::vector<RowScore> results(rows.size());
    for (std::size_t k = rows.size(); k > 0; --k) {
      const std::size_t i = k - 1;
      if (num_scored == stop_after) throw std::runtime_error("killed");
      ++num_scored;
      results[i].score = static_cast<float>(store[rows[i]].response.size()) + 0.1f;
      results[i].num_tokens = 7;
      results[i].truncated = i % 2 == 0;
      if (store[rows[i]].response == "reject") results[i].error = "rejected by the template";
      on_scored({&i, 1}, {&results[i], 1});
    }
    return results;
  }
};

class ResumedScoring : public testing::Test {
 protected:
  void SetUp() override {
    output_ =
        fs::path(testing::TempDir()) / ("charm_resumed_scoring_" + std::to_string(::getpid()));
    fs::remove(storage::journal_path(output_));
    for (std::size_t i = 0; i < 5; ++i) {
      rows_.emplace_back();
      rows_.back().prompt_id = "p";
      rows_.back().response = std::string(i, 'x');
    }
    rows_[1].response = "reject";
  }
  void TearDown() override { fs::remove(storage::journal_path(output_)); }

  std::vector<RowScore> run(LengthRule& rule) {
    storage::Journal journal(output_, "key");
    return score_rows_resumed(RowStore(rows_), std::ref(rule), journal);
  }

  fs::path output_;
  std::vector<Response> rows_;
};

TEST_F(ResumedScoring, AnInterruptedRunResumes) {
  LengthRule dying{.stop_after = 4};
  EXPECT_THROW(run(dying), std::runtime_error);
  LengthRule rule;
  const std::vector<RowScore> scored = run(rule);
  EXPECT_EQ(rule.num_scored, 1u);
  LengthRule none;
  EXPECT_EQ(run(none).size(), 5u);
  EXPECT_EQ(none.num_scored, 0u);
  for (const std::size_t i : {0u, 2u, 3u, 4u}) {
    EXPECT_EQ(scored[i].score, static_cast<float>(i) + 0.1f);
    EXPECT_EQ(scored[i].truncated, i % 2 == 0);
    EXPECT_EQ(scored[i].num_tokens, 7);
  }
  EXPECT_EQ(scored[1].error, "rejected by the template");
}

TEST_F(ResumedScoring, EachJournalKeepsItsOwnRows) {
  // Rows 0 and 3 belong to one output, 1 and 2 to another; row 4 is known before.
  const fs::path others = output_.string() + "_others";
  const auto run_parts = [&](LengthRule& rule, bool with_others) {
    storage::Journal first(output_, "key"), second(others, "key", /*fresh=*/!with_others);
    RowJournals journals({{&first, {0, 3}}, {&second, {1, 2}}}, rows_.size());
    const RowStore store(rows_);
    KnownResults known = unscored(rows_.size());
    known.done[4] = true;
    score_pending(store, store.all_rows(), std::ref(rule), journals, known);
    return known.results;
  };
  LengthRule first_run;
  run_parts(first_run, true);
  EXPECT_EQ(first_run.num_scored, 4u);
  LengthRule again;
  const std::vector<RowScore> scored = run_parts(again, true);
  EXPECT_EQ(again.num_scored, 0u);
  EXPECT_EQ(scored[3].score, 3.1f);
  EXPECT_EQ(scored[1].error, "rejected by the template");
  EXPECT_EQ(scored[2].error, std::nullopt);
  LengthRule lost;  // the other output's journal is gone
  run_parts(lost, false);
  EXPECT_EQ(lost.num_scored, 2u);
  fs::remove(storage::journal_path(others));
}

TEST_F(ResumedScoring, AShardScoresItsOwnRowsAndJournalsThoseKnownBefore) {
  const RowStore store(rows_);
  const std::vector<std::size_t> mine = {0, 2, 3};
  storage::Journal journal(output_, "key");
  RowJournals journals({{&journal, store.all_rows()}}, store.size());
  KnownResults known = unscored(store.size());
  known.done[2] = true;
  known.results[2] = {.score = 8.0f};
  LengthRule rule;
  score_pending(store, mine, std::ref(rule), journals, known);
  journals.append_known(mine, known);
  EXPECT_EQ(rule.num_scored, 2u);
  EXPECT_EQ(known.done, (std::vector<bool>{true, false, true, true, false}));

  KnownResults read = unscored(store.size());
  fill_from_journal(journal.path(), storage::read_journal(output_), store.all_rows(), read);
  EXPECT_EQ(read.done, known.done);
  EXPECT_EQ(read.results[2].score, 8.0f);
  EXPECT_EQ(read.results[3].score, 3.1f);
}

TEST_F(ResumedScoring, AJournalOfMoreRowsIsAnInputError) {
  LengthRule rule;
  run(rule);
  rows_.resize(2);
  EXPECT_ERROR(kInput, "does not match the rows to score", run(rule));
}

}  // namespace
}  // namespace charm::score
