#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "charm/calibrate/calibration.h"
#include "charm/calibrate/same_prompt_search.h"
#include "charm/stats/outcomes.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

SolveOptions quick(const std::string& mode, std::int64_t bootstrap = 0) {
  SolveOptions options;
  options.mode = parse_mode(mode);
  options.bootstrap = bootstrap;
  options.num_threads = 1;
  return options;
}

// Means whose same-prompt win rates equal those of the ratings, for normal differences of deviation
// sqrt(2): so a policy with mean + bias needs the offset -bias.
double mean_of_rating(double elo) {
  // Bisect Phi(mean / sqrt 2) = target against 1200.
  const double target = stats::target_win_rate(elo, 1200);
  double lo = -10.0;
  double hi = 10.0;
  for (int step = 0; step < 100; ++step) {
    const double middle = 0.5 * (lo + hi);
    (0.5 * std::erfc(-middle / 2.0) < target ? lo : hi) = middle;
  }
  return lo;
}

struct World {
  std::vector<ScoreFile> files;
  std::vector<ArenaRating> ratings;
  std::vector<double> biases;
};

World make_world(std::size_t num_prompts) {
  World world;
  const std::vector<double> elos = {1200, 1260, 1150, 1230, 1180};
  world.biases = {0.0, 0.9, -0.4, 0.3, -1.2};
  for (std::size_t p = 0; p < elos.size(); ++p) {
    const std::string name = "policy" + std::to_string(p);
    world.files.push_back(
        make_scores(name, num_prompts, mean_of_rating(elos[p]) + world.biases[p]));
    world.ratings.push_back(make_rating(name, elos[p], 4.0));
  }
  return world;
}

TEST(Joint, PlantedOffsetsOfFivePoliciesAreRecovered) {
  const World world = make_world(3000);
  const auto table = make_table(world.files, "policy0");
  for (const char* mode : {"same-prompt", "all-pairs", "block:500"}) {
    const auto result = solve(table, world.ratings, 0, quick(mode));
    for (std::size_t p = 0; p < world.biases.size(); ++p) {
      // The smooth modes pair different prompts, whose shared effect widens the differences: win
      // rates are nearer to 1/2, so the offset carries a share of the mean as well.
      const double tolerance = std::string(mode) == "same-prompt" ? 0.07 : 0.35;
      EXPECT_NEAR(result.policies[p].offset.value, -world.biases[p], tolerance) << mode << " " << p;
    }
    EXPECT_EQ(result.policies[0].offset.value, 0.0);
    EXPECT_EQ(result.pairs.size(), 4u);
    EXPECT_EQ(result.other_pairs.size(), 16u);
    if (std::string(mode) == "same-prompt") {
      for (const results::Pair& pair : result.pairs) EXPECT_LT(std::abs(pair.residual), 0.03);
      for (std::size_t p = 1; p < 5; ++p) {
        ASSERT_TRUE(result.policies[p].offset_interval);
        EXPECT_LE(result.policies[p].offset_interval->lo, result.policies[p].offset.value);
        EXPECT_GE(result.policies[p].offset_interval->hi, result.policies[p].offset.value);
      }
    }
  }
}

TEST(Joint, TwoPoliciesAreTheSpecialCase) {
  // A third policy that nobody compares with well-matched weights must not be needed: with two,
  // residuals vanish.
  const World world = make_world(400);
  const auto table = make_table({world.files[0], world.files[1]}, "policy0");
  const auto result =
      solve(table, std::vector{world.ratings[0], world.ratings[1]}, 0, quick("all-pairs"));
  EXPECT_NEAR(result.pairs[0].residual, 0.0, 1e-11);
}

TEST(Joint, SmoothSolutionIsStationary) {
  const World world = make_world(300);
  const auto table = make_table(world.files, "policy0");
  const auto best = solve(table, world.ratings, 0, quick("all-pairs"));
  // Residuals weighted with slopes must balance for each policy; slopes from a second run would
  // repeat the solver, so look at the objective: no small move of one offset may lower it.
  const auto objective = [&](const std::vector<double>& offsets) {
    double sum = 0.0;
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t j = i + 1; j < 5; ++j) {
        const stats::PairRows rows = table.pair(i, j);
        double wins = 0.0;
        for (const double a : rows.over) {
          for (const double b : rows.ref)
            wins += 1.0 / (1.0 + std::exp(-(a + offsets[i] - b - offsets[j]) / 0.1));
        }
        const double rate = wins / static_cast<double>(rows.over.size() * rows.ref.size());
        const double gap =
            rate - stats::target_win_rate(world.ratings[i].rating_elo, world.ratings[j].rating_elo);
        sum += gap * gap;
      }
    }
    return sum;
  };
  std::vector<double> offsets;
  for (const CalibratedPolicy& policy : best.policies) offsets.push_back(policy.offset.value);
  const double here = objective(offsets);
  for (std::size_t p = 1; p < 5; ++p) {
    for (const double step : {-1e-3, 1e-3}) {
      auto moved = offsets;
      moved[p] += step;
      EXPECT_GT(objective(moved), here) << p << " " << step;
    }
  }
}

double same_prompt_objective(const stats::PairedScores& table,
                             const std::vector<ArenaRating>& ratings,
                             const std::vector<double>& offsets) {
  double sum = 0.0;
  double pairs = 0.0;
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    for (std::size_t j = i + 1; j < ratings.size(); ++j) {
      const stats::PairRows rows = table.pair(i, j);
      const double rate = stats::Outcomes(rows.over, rows.ref, offsets[i], offsets[j])
                              .count()
                              .win_rate(stats::TieRule::kLoss);
      const double gap =
          rate - stats::target_win_rate(ratings[i].rating_elo, ratings[j].rating_elo);
      sum += gap * gap;
      pairs += 1.0;
    }
  }
  return std::sqrt(sum / pairs);
}

TEST(Joint, SamePromptEndsWithinARowOfTheBestByBruteForce) {
  // Three policies, 40 prompts: all cells of the plane of the two free offsets are looked at.
  for (const std::uint64_t seed : {1, 2, 3}) {
    const std::vector<ScoreFile> files = {make_scores("a", 40, 0.0, 1.0, seed),
                                          make_scores("b", 40, 0.7, 1.0, seed),
                                          make_scores("c", 40, -0.3, 1.0, seed)};
    const std::vector<ArenaRating> ratings = {make_rating("a", 1200), make_rating("b", 1290),
                                              make_rating("c", 1150)};
    const auto table = make_table(files, "a");
    const auto result = solve(table, ratings, 0, quick("same-prompt"));
    std::vector<double> found;
    for (const CalibratedPolicy& policy : result.policies) found.push_back(policy.offset.value);

    const auto cells = [&](std::size_t over) {
      const stats::PairRows rows = table.pair(over, 0);
      std::vector<double> steps;
      for (std::size_t r = 0; r < rows.over.size(); ++r)
        steps.push_back(rows.ref[r] - rows.over[r]);
      std::sort(steps.begin(), steps.end());
      std::vector<double> middles;
      // Ten places in each cell: the third pair's steps cross it.
      for (std::size_t s = 0; s + 1 < steps.size(); ++s) {
        for (int k = 0; k < 10; ++k)
          middles.push_back(steps[s] + (k + 0.5) / 10.0 * (steps[s + 1] - steps[s]));
      }
      return middles;
    };
    double best = 1.0;
    for (const double b : cells(1)) {
      for (const double c : cells(2))
        best = std::min(best, same_prompt_objective(table, ratings, {0.0, b, c}));
    }
    EXPECT_LE(same_prompt_objective(table, ratings, found), best + 1.0 / 40.0) << seed;
    // What the search actually reaches; far tighter than promised.
    EXPECT_LE(same_prompt_objective(table, ratings, found), best + 1e-3) << seed;
  }
}

TEST(Joint, OrderOfPoliciesDoesNotMatter) {
  const World world = make_world(250);
  const auto forward =
      solve(make_table(world.files, "policy0"), world.ratings, 0, quick("all-pairs"));
  std::vector<ScoreFile> files(world.files.rbegin(), world.files.rend());
  std::vector<ArenaRating> ratings(world.ratings.rbegin(), world.ratings.rend());
  const auto backward = solve(make_table(files, "policy0"), ratings, 4, quick("all-pairs"));
  for (std::size_t p = 0; p < 5; ++p) {
    EXPECT_NEAR(forward.policies[p].offset.value, backward.policies[4 - p].offset.value, 1e-8);
  }
}

TEST(Joint, IntervalsSurroundTheOffsets) {
  const World world = make_world(400);
  const auto table = make_table(world.files, "policy0");
  for (const char* mode : {"same-prompt", "block:200"}) {
    const auto result = solve(table, world.ratings, 0, quick(mode, 100));
    for (std::size_t p = 1; p < 5; ++p) {
      EXPECT_LT(result.policies[p].offset.ci95->lo, result.policies[p].offset.value) << mode;
      EXPECT_GT(result.policies[p].offset.ci95->hi, result.policies[p].offset.value) << mode;
      EXPECT_NEAR(*result.policies[p].offset_se, 0.06, 0.04) << mode;
    }
  }
}

TEST(Joint, PairsUseTheirOwnPromptsAndCountWeightsThem) {
  World world = make_world(400);
  world.files[4].rows.resize(60);
  const auto table = make_table(world.files, "policy0");
  SolveOptions options = quick("same-prompt");
  const auto equal = solve(table, world.ratings, 0, options);
  options.weights = PairWeights::kCount;
  const auto count = solve(table, world.ratings, 0, options);
  EXPECT_EQ(equal.pairs[3].num_prompts, 60);
  EXPECT_EQ(equal.pairs[0].num_prompts, 400);
  EXPECT_EQ(equal.pairs[3].missing_policy, 340);
  EXPECT_NE(equal.policies[1].offset.value, count.policies[1].offset.value);
}

}  // namespace
}  // namespace charm::calibrate
