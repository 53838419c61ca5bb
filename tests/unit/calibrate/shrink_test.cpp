#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/influence.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

TEST(Shrink, EqualErrorsHaveAClosedForm) {
  const std::vector<double> estimates = {1.0, -2.0, 0.5, 1.5};
  const std::vector<double> errors(4, 0.6);
  const double mean_square = (1.0 + 4.0 + 0.25 + 2.25) / 4.0;
  const Shrinkage found = shrink_to_zero(estimates, errors);
  const double variance = mean_square - 0.36;
  EXPECT_NEAR(found.prior_sd, std::sqrt(variance), 1e-9);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(found.values[i], estimates[i] * variance / mean_square, 1e-9);
    EXPECT_NEAR(found.errors[i], 0.6 * std::sqrt(variance / mean_square), 1e-9);
  }
}

TEST(Shrink, NoiseAloneGoesToZeroAndCertaintyStays) {
  const std::vector<double> estimates = {0.1, -0.1};
  const Shrinkage noise = shrink_to_zero(estimates, std::vector<double>{1.0, 1.0});
  EXPECT_EQ(noise.prior_sd, 0.0);
  EXPECT_EQ(noise.values[0], 0.0);
  const Shrinkage exact = shrink_to_zero(estimates, std::vector<double>{0.0, 0.0});
  EXPECT_EQ(exact.values[0], 0.1);
  EXPECT_EQ(exact.factors[1], 1.0);
}

// True offsets from N(0, 1), estimates with errors from small to large: shrunken ones are nearer to
// the truth, the spread is found, and the posterior's intervals hold the truth about as often as
// they say.
TEST(Shrink, IsNearerToTheTruthInSimulation) {
  constexpr int kSets = 300;
  constexpr int kPolicies = 12;
  double raw = 0.0, shrunken = 0.0, spread = 0.0;
  int covered = 0;
  for (int set = 0; set < kSets; ++set) {
    RandomStream stream(set, "shrink");
    std::vector<double> truth, estimates, errors;
    for (int p = 0; p < kPolicies; ++p) {
      truth.push_back(stream.normal());
      errors.push_back(0.2 + 0.15 * p);
      estimates.push_back(truth.back() + errors.back() * stream.normal());
    }
    const Shrinkage found = shrink_to_zero(estimates, errors);
    spread += found.prior_sd / kSets;
    for (int p = 0; p < kPolicies; ++p) {
      raw += (estimates[p] - truth[p]) * (estimates[p] - truth[p]);
      shrunken += (found.values[p] - truth[p]) * (found.values[p] - truth[p]);
      covered += std::abs(found.values[p] - truth[p]) <= 1.96 * found.errors[p] ? 1 : 0;
    }
  }
  EXPECT_LT(shrunken, 0.5 * raw);
  EXPECT_NEAR(spread, 1.0, 0.15);
  const double coverage = covered / double(kSets * kPolicies);
  EXPECT_GT(coverage, 0.88);
  EXPECT_LT(coverage, 0.97);
}

TEST(Shrink, ThePolicyWithFewPromptsMovesMost) {
  auto few = make_scores("few", 40, 1.0, 1.0);
  const std::vector<ScoreFile> files = {few, make_scores("many", 800, 1.0),
                                        make_scores("ref", 800, 0.0)};
  const auto table = make_table(files, "ref");
  const std::vector ratings{make_rating("few", 1200, 5.0), make_rating("many", 1200, 5.0),
                            make_rating("ref", 1200, 5.0)};
  SolveOptions options;
  options.bootstrap = 0;
  const Calibration plain = solve(table, ratings, 2, options);
  options.shrink = true;
  const Calibration shrunk = solve(table, ratings, 2, options);
  EXPECT_FALSE(plain.prior_sd);
  ASSERT_TRUE(shrunk.prior_sd && shrunk.policies[0].shrinkage && shrunk.policies[1].shrinkage);
  EXPECT_LT(*shrunk.policies[0].shrinkage, *shrunk.policies[1].shrinkage);
  EXPECT_LT(*shrunk.policies[1].shrinkage, 1.0);
  for (std::size_t p = 0; p < 2; ++p) {
    EXPECT_DOUBLE_EQ(*shrunk.policies[p].offset_unshrunk, plain.policies[p].offset.value);
    EXPECT_NEAR(shrunk.policies[p].offset.value,
                plain.policies[p].offset.value * *shrunk.policies[p].shrinkage, 1e-12);
    EXPECT_LT(shrunk.policies[p].offset.ci95->lo, shrunk.policies[p].offset.value);
    EXPECT_FALSE(shrunk.policies[p].offset_interval);
  }
  EXPECT_EQ(shrunk.policies[2].offset.value, 0.0);
  // The pairs tell of the shrunken offsets.
  const auto rows = table.pair(0, 2);
  double wins = 0.0;
  for (std::size_t i = 0; i < rows.over.size(); ++i)
    wins += rows.over[i] + shrunk.policies[0].offset.value > rows.ref[i] ? 1.0 : 0.0;
  EXPECT_DOUBLE_EQ(shrunk.pairs[0].after->win_rate.value,
                   wins / static_cast<double>(rows.over.size()));
}

TEST(Shrink, NeedsSamePromptModeAndTheExactSolver) {
  const auto table = make_table({make_scores("over", 60, 1.0), make_scores("ref", 60, 0.0)}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  SolveOptions options;
  options.shrink = true;
  options.mode = parse_mode("all-pairs");
  try {
    solve(table, ratings, 1, options);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), testing::HasSubstr("--mode same-prompt"));
  }
}

}  // namespace
}  // namespace charm::calibrate
