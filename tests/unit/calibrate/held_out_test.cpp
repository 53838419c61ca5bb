#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/stats/pair_table.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using testing::HasSubstr;

SolveOptions no_resampling() {
  SolveOptions options;
  options.bootstrap = 0;
  return options;
}

TEST(HeldOut, CountsAtTheOffsetsOfTheFit) {
  const auto fit = make_table({make_scores("over", 300, 1.0), make_scores("ref", 300, 0.0)}, "ref");
  const auto apart = make_table(
      {make_scores("over", 200, 1.0, 1.0, 2), make_scores("ref", 200, 0.0, 1.0, 2)}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  const Calibration calibration = solve(fit, ratings, 1, no_resampling());
  const HeldOut held_out = check_held_out(calibration, apart, ratings);
  ASSERT_EQ(held_out.pairs.size(), 1u);
  EXPECT_EQ(held_out.num_prompts, 200);
  const auto rows = apart.pair(0, 1);
  double wins = 0.0;
  for (std::size_t i = 0; i < rows.over.size(); ++i) {
    wins += rows.over[i] + calibration.policies[0].offset.value > rows.ref[i] ? 1.0 : 0.0;
  }
  const results::Pair& pair = held_out.pairs[0];
  EXPECT_DOUBLE_EQ(pair.after->win_rate.value, wins / 200.0);
  EXPECT_DOUBLE_EQ(pair.after->mismatch.value,
                   (wins / 200.0 - pair.target.value) / (1.0 - pair.target.value));
  EXPECT_GT(std::abs(pair.before.mismatch.value), std::abs(pair.after->mismatch.value));
  EXPECT_FALSE(pair.after->mismatch.ci95);
}

TEST(HeldOut, HasIntervalsOfItsOwnPrompts) {
  const auto fit = make_table({make_scores("over", 300, 1.0), make_scores("ref", 300, 0.0)}, "ref");
  const auto apart = make_table(
      {make_scores("over", 100, 1.0, 1.0, 2), make_scores("ref", 100, 0.0, 1.0, 2)}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  SolveOptions options;
  options.bootstrap = 400;
  const HeldOut held_out = check_held_out(solve(fit, ratings, 1, options), apart, ratings);
  const auto ci95 = held_out.pairs[0].after->win_rate.ci95;
  ASSERT_TRUE(ci95);
  const double w = held_out.pairs[0].after->win_rate.value;
  const double width = 2.0 * 1.96 * std::sqrt(w * (1.0 - w) / 100.0);
  EXPECT_NEAR(ci95->hi - ci95->lo, width, 0.1 * width);
}

TEST(HeldOut, FewPromptsAndOtherPoliciesAreErrors) {
  const auto fit = make_table({make_scores("over", 300, 1.0), make_scores("ref", 300, 0.0)}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  const Calibration calibration = solve(fit, ratings, 1, no_resampling());
  const auto message = [&](const stats::PairedScores& table) {
    try {
      check_held_out(calibration, table, ratings);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("no error");
  };
  EXPECT_THAT(message(make_table({make_scores("over", 20, 1.0), make_scores("ref", 20, 0.0)}, "ref",
                                 /*min_prompts=*/30)),
              testing::AllOf(HasSubstr("on the held-out prompts"), HasSubstr("20 prompts")));
  EXPECT_THAT(
      message(make_table({make_scores("other", 90, 1.0), make_scores("ref", 90, 0.0)}, "ref")),
      HasSubstr("'other' was not calibrated"));
}

TEST(MeanMismatch, SamplingNoiseIsTheBinomialMeanDeviation) {
  // scipy: sum(binom.pmf(k, 79, e) * abs(k / 79 - e)) / max(e, 1 - e), mean over both pairs.
  results::Pair one;
  one.num_prompts = 79;
  one.target.value = 0.258;
  one.before.mismatch.value = -0.3;
  one.after = results::PairRates{.win_rate = {}, .mismatch = {.value = 0.1}, .ties = 0};
  results::Pair other = one;
  other.target.value = 0.5;
  other.before.mismatch.value = 0.1;
  const MeanMismatch mean = stats::mean_mismatch(std::vector{one}, std::vector{other});
  EXPECT_DOUBLE_EQ(mean.before, 0.2);
  EXPECT_DOUBLE_EQ(mean.after, 0.1);
  EXPECT_NEAR(mean.sampling_noise, 0.07158229170005687, 1e-12);
}

}  // namespace
}  // namespace charm::calibrate
