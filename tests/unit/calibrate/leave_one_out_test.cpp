#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using testing::HasSubstr;

struct LeaveOneOutTest : testing::Test {
  std::vector<ScoreFile> files(std::uint64_t seed) const {
    return {make_scores("a", 300, 1.0, 1.0, seed), make_scores("b", 300, 0.6, 1.0, seed),
            make_scores("c", 300, -0.5, 1.0, seed), make_scores("ref", 300, 0.0, 1.0, seed)};
  }
  std::vector<ArenaRating> ratings{make_rating("a", 1200, 4.0), make_rating("b", 1210, 4.0),
                                   make_rating("c", 1190, 4.0), make_rating("ref", 1205, 4.0)};
  SolveOptions options = [] {
    SolveOptions quick;
    quick.bootstrap = 60;
    return quick;
  }();
};

TEST_F(LeaveOneOutTest, OffsetsAreThoseOfAFitWithoutThePolicy) {
  const auto table = make_table(files(1), "ref");
  const OffsetProblem problem = make_problem(table, ratings, 3, options);
  const auto fits = leave_one_out_fits(problem);
  ASSERT_EQ(fits.size(), 3u);
  for (std::size_t held_out = 0; held_out < 3; ++held_out) {
    EXPECT_EQ(fits[held_out].policy, held_out);
    auto rest = files(1);
    auto rest_ratings = ratings;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(held_out));
    rest_ratings.erase(rest_ratings.begin() + static_cast<std::ptrdiff_t>(held_out));
    SolveOptions plain = options;
    plain.bootstrap = 0;
    const Calibration alone = solve(make_table(rest, "ref"), rest_ratings, 2, plain);
    for (std::size_t p = 0; p < 4; ++p) {
      if (p == held_out) {
        EXPECT_EQ(fits[held_out].offsets[p], 0.0);
        continue;
      }
      EXPECT_DOUBLE_EQ(fits[held_out].offsets[p],
                       alone.policies[p > held_out ? p - 1 : p].offset.value);
    }
  }
}

TEST_F(LeaveOneOutTest, ChecksCountWhatTheOffsetsDo) {
  const auto table = make_table(files(1), "ref");
  const auto apart = make_table(files(2), "ref");
  Calibration calibration = solve(table, ratings, 3, options);
  leave_one_out(calibration, table, ratings, &apart, ratings);
  ASSERT_EQ(calibration.held_out_policies.size(), 3u);
  const HeldOutPolicy& first = calibration.held_out_policies[0];
  EXPECT_EQ(first.policy, "a");
  ASSERT_TRUE(first.held_out);
  EXPECT_NE(first.held_out->before, first.fit.before);
  // By hand: |MD| of a with each other policy, both directions.
  const OffsetProblem problem = make_problem(table, ratings, 3, options);
  const auto fits = leave_one_out_fits(problem);
  double before = 0.0, after = 0.0;
  for (std::size_t other = 1; other < 4; ++other) {
    const auto rows = table.pair(0, other);
    const double target = stats::target_win_rate(ratings[0].rating_elo, ratings[other].rating_elo);
    double wins = 0.0, wins_after = 0.0;
    for (std::size_t i = 0; i < rows.over.size(); ++i) {
      wins += rows.over[i] > rows.ref[i] ? 1.0 : 0.0;
      wins_after += rows.over[i] > rows.ref[i] + fits[0].offsets[other] ? 1.0 : 0.0;
    }
    const auto n = static_cast<double>(rows.over.size());
    before += std::abs(stats::mismatch_degree(wins / n, target)) / 3.0;
    after += std::abs(stats::mismatch_degree(wins_after / n, target)) / 3.0;
  }
  EXPECT_NEAR(first.fit.before, before, 1e-12);
  EXPECT_NEAR(first.fit.after, after, 1e-12);
  EXPECT_LT(first.fit.with_all, 0.5 * first.fit.after) << "its own offset is what helps it most";
  ASSERT_TRUE(first.fit.change_ci95);
  EXPECT_LE(first.fit.change_ci95->lo, first.fit.after - first.fit.before);
  EXPECT_GE(first.fit.change_ci95->hi, first.fit.after - first.fit.before);
  EXPECT_GT(first.largest_offset_change, 0.0);
}

TEST_F(LeaveOneOutTest, OfTwoPoliciesNoneCanBeHeldOut) {
  const auto table = make_table({make_scores("a", 60, 1.0), make_scores("ref", 60, 0.0)}, "ref");
  const std::vector two{make_rating("a", 1200), make_rating("ref", 1205)};
  Calibration calibration = solve(table, two, 1, options);
  try {
    leave_one_out(calibration, table, two, nullptr, {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), HasSubstr("three or more"));
  }
}

}  // namespace
}  // namespace charm::calibrate
