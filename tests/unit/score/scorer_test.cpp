#include "charm/score/scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "charm/base/random.h"
#include "charm/engine/model_config.h"
#include "tests/support/position_sums.h"
#include "tests/support/source_dir.h"

namespace charm::score {
namespace {

/// Scores a sequence by a sum over its tokens, independent of batches.
class FakeRewardModel final : public engine::RewardModel {
 public:
  std::vector<float> score(const engine::PackedBatch& batch) override {
    ++num_batches;
    largest_batch = std::max(largest_batch, batch.num_tokens());
    return test::position_sums(batch);
  }
  const engine::DecoderConfig& config() const override { return facts; }
  engine::Provenance provenance() const override { return {}; }

  engine::DecoderConfig facts{.vocab_size = 1 << 20, .max_positions = 4096};
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

/// All rows of a store.
std::vector<RowScore> score_all(engine::RewardModel& model,
                                const text::ConversationEncoder& encoder,
                                const std::vector<Response>& rows, const ScorerOptions& options,
                                const ScoredFn& on_scored = {}, const ProgressFn& progress = {}) {
  const RowStore store(rows);
  return score_rows(model, encoder, store, store.all_rows(), options, on_scored, progress);
}

TEST(RowStore, HoldsEqualPromptsOnce) {
  const RowStore store(some_rows());
  EXPECT_EQ(store.num_prompts(), 7u);
  for (std::size_t r = 0; r < store.size(); ++r) {
    EXPECT_EQ(store.prompt(r), some_rows()[r].prompt);
    EXPECT_EQ(store[r].response, some_rows()[r].response);
    EXPECT_TRUE(store[r].prompt.empty());
  }
  RowStore other;
  for (const char* tools : {"", R"([{"name":"f"}])", ""}) {
    Response row = some_rows().front();
    row.prompt.tools = tools;
    other.add(std::move(row));
  }
  EXPECT_EQ(other.num_prompts(), 2u);  // tools belong to the prompt
  EXPECT_EQ(other.prompt_index(0), other.prompt_index(2));
  Response row = some_rows().front();
  row.prompt.template_kwargs = R"({"x":1})";
  other.add(std::move(row));
  EXPECT_EQ(other.num_prompts(), 3u);
}

TEST(ScoreRows, ResultsHaveTheOrderOfTheGivenRows) {
  const text::ConversationEncoder encoder(model_dir(), {});
  const RowStore store(some_rows());
  FakeRewardModel model;
  const auto all = score_rows(model, encoder, store, store.all_rows(), {});
  const std::vector<std::size_t> some = {9, 1, 4};
  const auto scored = score_rows(model, encoder, store, some, {});
  ASSERT_EQ(scored.size(), some.size());
  for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(scored[i].score, all[some[i]].score);
}

TEST(ScoreRows, ARowEndsWithTheModelsAppendedToken) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel plain, appending;
  appending.facts.appended_token = 7;
  const auto without = score_all(plain, encoder, some_rows(), {});
  const auto with = score_all(appending, encoder, some_rows(), {});
  for (std::size_t i = 0; i < with.size(); ++i) {
    EXPECT_EQ(with[i].num_tokens, without[i].num_tokens);
    EXPECT_EQ(with[i].score, without[i].score + 7.0F * static_cast<float>(1 + with[i].num_tokens));
  }
  appending.facts.appended_token = 2;  // the closing token of the template, which is there already
  EXPECT_EQ(score_all(appending, encoder, some_rows(), {})[0].score, without[0].score);
}

TEST(ScoreRows, ScoresDoNotDependOnTheNumberOfThreads) {
  const text::ConversationEncoder encoder(model_dir(), {});
  std::vector<Response> rows;
  RandomStream stream(1, "threads");
  for (int r = 0; r < 400; ++r) {
    Response row;
    row.prompt = {{"user", "question " + std::to_string(r % 90)}};
    for (std::uint64_t word = stream.below(700); word > 0; --word)
      row.response += std::to_string(stream.below(1000)) + ' ';
    rows.push_back(std::move(row));
  }
  FakeRewardModel one, several;
  std::vector<std::size_t> order_of_one, order_of_several;
  const auto record = [](std::vector<std::size_t>& order) {
    return [&order](std::span<const std::size_t> positions, std::span<const RowScore>) {
      order.insert(order.end(), positions.begin(), positions.end());
    };
  };
  const auto expected =
      score_all(one, encoder, rows, {.budget_tokens = 4000, .threads = 1}, record(order_of_one));
  const auto scored = score_all(several, encoder, rows, {.budget_tokens = 4000, .threads = 3},
                                record(order_of_several));
  EXPECT_EQ(order_of_several, order_of_one);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(scored[r].score, expected[r].score);
    EXPECT_EQ(scored[r].num_tokens, expected[r].num_tokens);
  }
}

TEST(ScoreRows, ScoresDoNotDependOnOrderGroupingOrBudget) {
  const text::ConversationEncoder encoder(model_dir(), {});
  const std::vector<Response> rows = some_rows();
  FakeRewardModel model;
  const auto expected = score_all(model, encoder, rows, {});
  EXPECT_EQ(model.num_batches, 1);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  RandomStream stream(1, "scorer_test");
  for (const std::int64_t budget : {1, 60, 200}) {
    stream.shuffle(order);
    std::vector<Response> shuffled;
    for (const std::size_t i : order) shuffled.push_back(rows[i]);
    const auto scored = score_all(model, encoder, shuffled, {.budget_tokens = budget});
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(scored[i].score, expected[order[i]].score);
      EXPECT_EQ(scored[i].num_tokens, expected[order[i]].num_tokens);
    }
  }
}

TEST(ScoreRows, BatchesRespectTheBudget) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  score_all(model, encoder, some_rows(), {.budget_tokens = 150});
  EXPECT_GT(model.num_batches, 1);
  EXPECT_LE(model.largest_batch, 150);
}

/// Returns scores asynchronously, like a GPU.
class AsyncRewardModel final : public engine::RewardModel {
 public:
  std::vector<float> score(const engine::PackedBatch& batch) override { return start(batch)(); }
  PendingScores start(const engine::PackedBatch& batch) override {
    max_in_flight = std::max(max_in_flight, ++in_flight);
    return [this, batch] {
      --in_flight;
      return fake_.score(batch);
    };
  }
  int batches_in_flight() const override { return 2; }
  std::int64_t budget_tokens() const override { return 150; }
  const engine::DecoderConfig& config() const override { return fake_.config(); }
  engine::Provenance provenance() const override { return {}; }

  int in_flight = 0;
  int max_in_flight = 0;

 private:
  FakeRewardModel fake_;
};

TEST(ScoreRows, KeepsSeveralBatchesInFlight) {
  const text::ConversationEncoder encoder(model_dir(), {});
  const std::vector<Response> rows = some_rows();
  FakeRewardModel fake;
  AsyncRewardModel async;
  const auto expected = score_all(fake, encoder, rows, {});
  std::size_t reported = 0;
  const auto scored = score_all(async, encoder, rows, {},
                                [&](std::span<const std::size_t> finished,
                                    std::span<const RowScore>) { reported += finished.size(); });
  EXPECT_EQ(async.max_in_flight, 2);
  EXPECT_EQ(async.in_flight, 0);
  EXPECT_EQ(reported, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(scored[i].score, expected[i].score);
}

TEST(ScoreRows, EveryRowIsReportedOnce) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  const std::vector<Response> rows = some_rows();
  std::vector<int> reported(rows.size(), 0);
  std::int64_t last_done = 0;
  score_all(
      model, encoder, rows, {.budget_tokens = 100},
      [&](std::span<const std::size_t> indices, std::span<const RowScore> results) {
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

TEST(ScoreRows, ARowThatCannotBeScoredHasAnError) {
  const text::ConversationEncoder encoder(model_dir(), {});
  FakeRewardModel model;
  model.facts.vocab_size = 2;  // almost every token is out of range
  const auto scored = score_all(model, encoder, some_rows(), {});
  ASSERT_TRUE(scored[0].error.has_value());
  EXPECT_NE(scored[0].error->find("vocabulary of 2"), std::string::npos);
}

}  // namespace
}  // namespace charm::score
