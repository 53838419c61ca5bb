#include "charm/evaluate/arena.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/records/score.h"
#include "charm/stats/elo.h"
#include "tests/support/expect_error.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

/// scores[policy][prompt]; policies "a", "b", "c"...
std::vector<Score> table(const std::vector<std::vector<float>>& scores) {
  std::vector<Score> rows;
  for (std::size_t p = 0; p < scores.size(); ++p) {
    for (std::size_t n = 0; n < scores[p].size(); ++n) {
      rows.push_back({"prompt" + std::to_string(n),
                      std::string(1, static_cast<char>('a' + p)),
                      0,
                      scores[p][n],
                      {}});
    }
  }
  return rows;
}

const std::map<std::string, double> kRatings = {{"a", 1200}, {"b", 1100}, {"c", 1000}};

TEST(Arena, WinRateCountsATieAsHalf) {
  // a against b: win, tie -> 0.75; a against c: win, win -> 1; b against c: loss, win -> 0.5.
  const results::Evaluation result =
      arena_result(table({{3, 2}, {1, 2}, {2, 0}}), kRatings, {.num_replicates = 0});
  EXPECT_DOUBLE_EQ(value(result.policies[0].metrics, "win_rate"), (0.75 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(value(result.policies[1].metrics, "win_rate"), (0.25 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(value(result.policies[2].metrics, "win_rate"), (0.0 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(value(result.policies[1].metrics, "mean_score"), 1.5);
  EXPECT_EQ(value(result.overall, "ties"), 1);
  EXPECT_EQ(value(result.overall, "num_comparisons"), 6);
  EXPECT_DOUBLE_EQ(value(result.mean_score, "spearman"), 1.0);
  EXPECT_DOUBLE_EQ(value(result.win_rate, "kendall"), 1.0);
}

TEST(Arena, MeanAbsoluteMismatchIsOverAllOrderedPairsWithTiesAsLosses) {
  // Wins: a over b 1/2 and b over a 0 (a tie); a over c 1, c over a 0; b over c 1/2, c over b 1/2.
  const auto mismatch = [](double rate, double rating, double other) {
    const double target = stats::target_win_rate(rating, other);
    return std::abs(stats::mismatch_degree(rate, target));
  };
  const double ab = mismatch(0.5, 1200, 1100), ba = mismatch(0.0, 1100, 1200);
  const double ac = mismatch(1.0, 1200, 1000), ca = mismatch(0.0, 1000, 1200);
  const double bc = mismatch(0.5, 1100, 1000), cb = mismatch(0.5, 1000, 1100);
  const std::vector<Score> scores = table({{3, 2}, {1, 2}, {2, 0}});
  const results::Evaluation result = arena_result(scores, kRatings, {.num_replicates = 20});
  EXPECT_NEAR(value(result.overall, "mean_abs_mismatch"), (ab + ba + ac + ca + bc + cb) / 6, 1e-12);
  EXPECT_NEAR(value(result.policies[0].metrics, "mean_abs_mismatch"), (ab + ba + ac + ca) / 4,
              1e-12);
  EXPECT_NEAR(value(result.policies[2].metrics, "mean_abs_mismatch"), (ac + ca + bc + cb) / 4,
              1e-12);
  EXPECT_TRUE(results::numbers_json(result)["policies"]["a"].contains("mean_abs_mismatch_ci95"));

  const MetricSet metric_set = arena_metrics(scores, kRatings, {"c", "a"});
  const std::vector<double> ones(metric_set.prompts.size(), 1.0);
  EXPECT_EQ(metric_set.metrics[7].measure, "mean_abs_mismatch_left_out");
  EXPECT_NEAR(metric_set.statistics(ones)[7], (ab + ba + 2 * (ac + ca) + bc + cb) / 8, 1e-12);
  EXPECT_EQ(metric_set.metrics.size(), metric_set.statistics(ones).size());
  EXPECT_ERROR(kUsage, "--left-out 'd'", arena_metrics(scores, kRatings, {"d"}));
}

TEST(Arena, IntervalsOfMeanMismatchHoldTheirEstimate) {
  // Fair policies: every |MD| is sampling noise alone, to which resampling adds as much again.
  std::vector<std::vector<float>> scores(3);
  for (int n = 0; n < 60; ++n) {
    for (int p = 0; p < 3; ++p)
      scores[static_cast<std::size_t>(p)].push_back(static_cast<float>((n * (7 + 4 * p)) % 61));
  }
  const std::map<std::string, double> equal = {{"a", 1000}, {"b", 1000}, {"c", 1000}};
  const results::Evaluation result = arena_result(table(scores), equal, {.num_replicates = 500});
  EXPECT_LE(interval(result.overall, "mean_abs_mismatch").lo,
            value(result.overall, "mean_abs_mismatch"));
  EXPECT_GE(interval(result.overall, "mean_abs_mismatch").hi,
            value(result.overall, "mean_abs_mismatch"));
  for (const results::BenchmarkPart& policy : result.policies) {
    const results::Interval ci95 = interval(policy.metrics, "mean_abs_mismatch");
    EXPECT_LE(ci95.lo, value(policy.metrics, "mean_abs_mismatch")) << policy.name;
    EXPECT_GE(ci95.lo, 0.0);
  }
}

TEST(Arena, ReversedScoresGiveMinusOne) {
  const results::Evaluation result =
      arena_result(table({{0, 0}, {1, 1}, {2, 2}}), kRatings, {.num_replicates = 50});
  EXPECT_DOUBLE_EQ(value(result.mean_score, "pearson"), -1.0);
  EXPECT_DOUBLE_EQ(interval(result.win_rate, "spearman").lo, -1.0);
}

TEST(Arena, UndefinedCorrelationIsNull) {
  const results::Evaluation result =
      arena_result(table({{1}, {1}, {1}}), kRatings, {.num_replicates = 10});
  EXPECT_TRUE(results::numbers_json(result)["correlations"]["mean_score"]["pearson"].is_null());
}

TEST(Arena, EachPairUsesItsOwnCommonPrompts) {
  std::vector<Score> rows = table({{3, 2}, {1, 9}, {2, 0}});
  rows.erase(rows.begin() + 3);  // b has no score for prompt1
  const results::Evaluation result = arena_result(rows, kRatings, {.num_replicates = 20});
  EXPECT_DOUBLE_EQ(value(result.policies[0].metrics, "win_rate"), 1.0);
  EXPECT_EQ(value(result.policies[1].metrics, "num_prompts"), 1);
  EXPECT_EQ(value(result.overall, "num_prompts"), 2);
  EXPECT_EQ(value(result.overall, "num_common_prompts"), 1);
}

TEST(Arena, ErrorsAreDroppedAndCounted) {
  std::vector<Score> rows = table({{3, 2}, {1, 9}, {2, 0}});
  rows[3].error = "template refused it";
  const results::Evaluation result = arena_result(rows, kRatings, {.num_replicates = 0});
  EXPECT_EQ(value(result.policies[1].metrics, "num_errors"), 1);
}

TEST(Arena, RefusesWhatHasNoAnswer) {
  EXPECT_ERROR(kInput, "at least 3 policies", arena_result(table({{1}, {2}}), kRatings, {}));
  EXPECT_ERROR(kInput, "'d' has no rating",
               arena_result(table({{1}, {2}, {3}, {4}}), kRatings, {}));
  std::vector<Score> rows = table({{1}, {2}, {3}});
  rows[2].prompt_id = "elsewhere";
  EXPECT_ERROR(kInput, "no common prompt", arena_result(rows, kRatings, {}));
  std::vector<Score> cases = table({{1}, {2}, {3}});
  cases[2].policy = "A";
  EXPECT_ERROR(kInput, "differ only in case",
               arena_result(cases, {{"a", 1}, {"A", 2}, {"b", 3}}, {}));
}

}  // namespace
}  // namespace charm::evaluate
