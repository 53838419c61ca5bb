#include "charm/calibrate/influence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/calibrate/calibration.h"
#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/smooth_pairs.h"
#include "charm/records/score.h"
#include "charm/stats/interval.h"
#include "tests/support/expect_error.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using testing::HasSubstr;

struct World {
  stats::PairedScores scores;
  std::vector<ArenaRating> ratings;
};

World four_policies(double half_width = 0.0) {
  return {make_table({make_scores("a", 400, 1.0), make_scores("b", 400, 0.3),
                      make_scores("c", 400, -0.4), make_scores("ref", 400, 0.0)},
                     "ref"),
          {make_rating("a", 1216, half_width), make_rating("b", 1190, half_width),
           make_rating("c", 1230, half_width), make_rating("ref", 1248, half_width)}};
}

SolveOptions options_of(const char* mode, std::int64_t bootstrap = 0) {
  SolveOptions options;
  options.mode = parse_mode(mode);
  options.bootstrap = bootstrap;
  return options;
}

TEST(PairInfluence, MatchesTheFitWithoutThePair) {
  const World world = four_policies();
  const SolveOptions options = options_of("all-pairs");
  const auto reference = world.scores.index_of("ref");
  const OffsetProblem problem = make_problem(world.scores, world.ratings, reference, options);
  const OffsetSolution solution = make_smooth_solver(problem)->solve();
  const auto influences = pair_influences(problem, solution);
  ASSERT_EQ(influences.size(), problem.pairs.size());

  // Leverages of a linear fit add up to the number of free parameters.
  double total = 0.0;
  for (const PairInfluence& influence : influences) total += influence.leverage;
  EXPECT_NEAR(total, 3.0, 1e-9);

  std::vector<std::unique_ptr<SmoothCurve>> curves;
  std::vector<double> targets;
  for (const stats::PolicyPair& pair : problem.pairs) {
    curves.push_back(make_smooth_pairs(pair.rows.over, pair.rows.ref, {})->curve());
    targets.push_back(pair.target);
  }
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    auto terms = pair_terms(problem, targets);
    terms[p].weight = 0.0;
    const auto without = fit_offsets(curves, terms, reference, solution.offsets);
    double largest = 0.0;
    for (std::size_t i = 0; i < without.size(); ++i) {
      largest = std::max(largest, std::abs(without[i] - solution.offsets[i]));
    }
    ASSERT_TRUE(influences[p].influence);
    EXPECT_NEAR(*influences[p].influence, largest, 0.02 * largest + 1e-4) << p;
  }
}

TEST(PairInfluence, OnlyWithSeveralPairs) {
  const auto two = make_table({make_scores("a", 100, 1.0), make_scores("ref", 100, 0.0)}, "ref");
  const auto alone = solve(two, std::vector{make_rating("a", 1216), make_rating("ref", 1248)},
                           two.index_of("ref"), options_of("same-prompt"));
  EXPECT_FALSE(alone.pairs[0].leverage);
  const World world = four_policies();
  const auto jointly =
      solve(world.scores, world.ratings, world.scores.index_of("ref"), options_of("same-prompt"));
  for (const results::Pair& pair : jointly.pairs) {
    EXPECT_GT(*pair.leverage, 0.0);
    EXPECT_LT(*pair.leverage, 1.0);
    EXPECT_GE(*pair.influence, 0.0);
  }
}

TEST(InconsistentRatings, IsWarnedAboutOnlyIfSignificant) {
  // Differences of a and b are wide, those of both to ref narrow: with ratings 100 apart each, no
  // offset meets all three targets.
  const auto wide = [](const char* name, double spread, double mean) {
    return make_scores(name, 2000, mean, spread, 3);
  };
  const auto table =
      make_table({wide("a", 0.2, 0.0), wide("b", 5.0, 0.0), wide("ref", 0.2, 0.0)}, "ref");
  const auto mentions = [](const Calibration& result) {
    for (const std::string& warning : result.warnings) {
      if (warning.find("inconsistent") != std::string::npos) return true;
    }
    return false;
  };
  const auto options = options_of("same-prompt");
  const std::vector apart{make_rating("a", 1400), make_rating("b", 1300), make_rating("ref", 1200)};
  const auto result = solve(table, apart, table.index_of("ref"), options);
  ASSERT_TRUE(mentions(result));
  EXPECT_THAT(result.warnings.back(), HasSubstr("the ratings are inconsistent"));
  const std::vector equal{make_rating("a", 1200), make_rating("b", 1200), make_rating("ref", 1200)};
  EXPECT_FALSE(mentions(solve(table, equal, table.index_of("ref"), options)));
}

TEST(OffsetErrors, AgreeWithTheBootstrap) {
  const World world = four_policies(/*half_width=*/20.0);
  const auto reference = world.scores.index_of("ref");
  const OffsetProblem problem =
      make_problem(world.scores, world.ratings, reference, options_of("same-prompt"));
  const auto errors = offset_errors(problem, make_solver(problem)->solve(), world.ratings,
                                    world.scores.num_prompts());
  const auto resampled =
      solve(world.scores, world.ratings, reference, options_of("same-prompt", 600));
  EXPECT_EQ(errors[reference], 0.0);
  for (std::size_t p = 0; p < 4; ++p) {
    if (p == reference) continue;
    const double se = *resampled.policies[p].offset_se;
    EXPECT_NEAR(errors[p], se, 0.15 * se) << resampled.policies[p].policy;
  }
}

TEST(OffsetErrors, OfOnePairInvertTheStepFunction) {
  // 400 differences 1 .. 400: the win rate is 1/2 at -200.5, and 1/2 -+ 1.96 * 0.5 / sqrt(399) at
  // 200.5 -+ 19.6 rows from the end.
  ScoreFile over{.name = "over", .rows = {}};
  ScoreFile ref{.name = "ref", .rows = {}};
  for (int i = 0; i < 400; ++i) {
    const std::string id = "p" + std::to_string(i);
    over.rows.push_back({.prompt_id = id, .policy = "over", .score = static_cast<float>(i + 1)});
    ref.rows.push_back({.prompt_id = id, .policy = "ref", .score = 0.0f});
  }
  const auto table = make_table({over, ref}, "ref");
  const std::vector ratings{make_rating("over", 1200), make_rating("ref", 1200)};
  const OffsetProblem problem =
      make_problem(table, ratings, table.index_of("ref"), options_of("same-prompt"));
  const OffsetSolution solution = make_solver(problem)->solve();
  const auto over_at = table.index_of("over");
  EXPECT_EQ(solution.offsets[over_at], -200.5);
  const auto errors = offset_errors(problem, solution, ratings, table.num_prompts());
  EXPECT_NEAR(errors[over_at], 400.0 * 0.5 / std::sqrt(399.0), 1e-9);
}

}  // namespace
}  // namespace charm::calibrate
