#include "charm/score/scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "charm/base/random.h"
#include "tests/support/source_dir.h"

namespace charm::score {
namespace {

/// Scores a sequence by a sum over its tokens, independent of batches.
class FakeRewardModel final : public model::RewardModel {
 public:
  std::vector<float> score(const batch::PackedBatch& batch) override {
    ++num_batches;
    largest_batch = std::max(largest_batch, batch.num_tokens());
    std::vector<float> scores;
    for (const batch::Segment& s : batch.responses) {
      double sum = 0.0;
      const auto add = [&](std::int64_t begin, std::int64_t length) {
        for (std::int64_t i = begin; i < begin + length; ++i) {
          sum += batch.ids[static_cast<std::size_t>(i)] *
                 (1.0 + batch.positions[static_cast<std::size_t>(i)]);
        }
      };
      add(s.prompt_begin, s.prompt_length);
      add(s.response_begin, s.response_length);
      scores.push_back(static_cast<float>(sum));
    }
    return scores;
  }
  std::int64_t vocab_size() const override { return vocab; }
  std::int64_t max_positions() const override { return 4096; }
  std::int32_t pad_token_id() const override { return -1; }
  std::vector<std::pair<std::string, std::string>> provenance() const override { return {}; }

  std::int64_t vocab = 1 << 20;
  int num_batches = 0;
  std::int64_t largest_batch = 0;
};

std::filesystem::path model_dir() {
  return std::filesystem::path(charm::test::kSourceDir) / "tests/data/golden/models/chat";
}

std::vector<Response> some_rows() {
  std::vector<Response> rows;
  for (int p = 0; p < 7; ++p) {
    for (int k = 0; k <= p % 4; ++k) {
      Response row;
      row.prompt = {{"user", "question number " + std::to_string(p)}};
      row.prompt_id = prompt_id_of(row.prompt);
      row.response = std::string(static_cast<std::size_t>(3 * k), 'a') + " answer";
      row.policy = "policy" + std::to_string(k);
      rows.push_back(std::move(row));
    }
  }
  rows[2].response.clear();  // empty responses are valid
  return rows;
}

TEST(ScoreResponses, ScoresDoNotDependOnOrderGroupingOrBudget) {
  const text::ConversationEncoder encoder(model_dir(), {});
  const std::vector<Response> rows = some_rows();
  FakeRewardModel model;
  const auto expected = score_responses(model, encoder, rows, {});
  EXPECT_EQ(model.num_batches, 1);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  RandomStream stream(1, "scorer_test");
  for (const std::int64_t budget : {1, 60, 200}) {
    stream.shuffle(order);
    std::vector<Response> shuffled;
    for (const std::size_t i : order) shuffled.push_back(rows[i]);
    const auto scored = score_responses(model, encoder, shuffled, {.budget_tokens = budget});
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(scored[i].score, expected[order[i]].score);
      EXPECT_EQ(scored[i].response.response, rows[order[i]].response);
      EXPECT_EQ(scored[i].num_tokens, expected[order[i]].num_tokens);
    }
  }
}

TEST(ScoreResponses, BatchesRespectTheBudget) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  score_responses(model, encoder, some_rows(), {.budget_tokens = 150});
  EXPECT_GT(model.num_batches, 1);
  EXPECT_LE(model.largest_batch, 150);
}

/// Returns scores asynchronously, like a GPU.
class AsyncRewardModel final : public model::RewardModel {
 public:
  std::vector<float> score(const batch::PackedBatch& batch) override { return start(batch)(); }
  PendingScores start(const batch::PackedBatch& batch) override {
    max_in_flight = std::max(max_in_flight, ++in_flight);
    return [this, batch] {
      --in_flight;
      return fake_.score(batch);
    };
  }
  int batches_in_flight() const override { return 2; }
  std::int64_t budget_tokens() const override { return 150; }
  std::int64_t vocab_size() const override { return fake_.vocab_size(); }
  std::int64_t max_positions() const override { return fake_.max_positions(); }
  std::int32_t pad_token_id() const override { return fake_.pad_token_id(); }
  std::vector<std::pair<std::string, std::string>> provenance() const override { return {}; }

  int in_flight = 0;
  int max_in_flight = 0;

 private:
  FakeRewardModel fake_;
};

TEST(ScoreResponses, KeepsSeveralBatchesInFlight) {
  const text::ConversationEncoder encoder(model_dir(), {});
  const std::vector<Response> rows = some_rows();
  FakeRewardModel fake;
  AsyncRewardModel async;
  const auto expected = score_responses(fake, encoder, rows, {});
  std::size_t reported = 0;
  const auto scored =
      score_responses(async, encoder, rows, {},
                      [&](std::span<const std::size_t> finished, std::span<const ScoredResponse>) {
                        reported += finished.size();
                      });
  EXPECT_EQ(async.max_in_flight, 2);
  EXPECT_EQ(async.in_flight, 0);
  EXPECT_EQ(reported, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(scored[i].score, expected[i].score);
}

TEST(ScoreResponses, EveryRowIsReportedOnce) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  const std::vector<Response> rows = some_rows();
  std::vector<int> reported(rows.size(), 0);
  std::int64_t last_done = 0;
  score_responses(
      model, encoder, rows, {.budget_tokens = 100},
      [&](std::span<const std::size_t> indices, std::span<const ScoredResponse> results) {
        EXPECT_EQ(indices.size(), results.size());
        for (const std::size_t i : indices) ++reported[i];
      },
      [&](const Progress& progress) {
        last_done = progress.done;
        EXPECT_EQ(progress.total, static_cast<std::int64_t>(rows.size()));
      });
  EXPECT_TRUE(std::all_of(reported.begin(), reported.end(), [](int n) { return n == 1; }));
  EXPECT_EQ(last_done, static_cast<std::int64_t>(rows.size()));
}

TEST(ScoreResponses, ARowThatCannotBeScoredHasAnError) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  model.vocab = 2;  // almost every token is out of range
  const auto scored = score_responses(model, encoder, some_rows(), {});
  ASSERT_TRUE(scored[0].error.has_value());
  EXPECT_NE(scored[0].error->find("vocabulary of 2"), std::string::npos);
}

}  // namespace
}  // namespace charm::score
