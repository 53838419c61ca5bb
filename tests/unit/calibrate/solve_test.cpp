#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "tests/support/expect_error.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using testing::HasSubstr;

SolveOptions quick(const std::string& mode, std::int64_t bootstrap = 0) {
  SolveOptions options;
  options.mode = parse_mode(mode);
  options.bootstrap = bootstrap;
  options.num_threads = 1;
  return options;
}

Calibration two(const ScoreFile& over, const ScoreFile& ref, double elo_over, double elo_ref,
                const SolveOptions& options, double half_width = 0.0) {
  const auto table = make_table({over, ref}, "ref");
  return solve(table,
               std::vector{make_rating("over", elo_over, half_width),
                           make_rating("ref", elo_ref, half_width)},
               table.index_of("ref"), options);
}

TEST(Solve, SamePromptMeetsTheTargetWithinHalfARow) {
  const auto result = two(make_scores("over", 500, 1.0), make_scores("ref", 500, 0.0), 1216, 1248,
                          quick("same-prompt"));
  ASSERT_EQ(result.pairs.size(), 1u);
  const results::Pair& pair = result.pairs[0];
  EXPECT_GT(pair.before.win_rate.value, 0.7);
  EXPECT_NEAR(pair.target.value, 0.454079, 1e-6);
  EXPECT_LE(std::abs(pair.residual), 0.5 / 500 + 1e-12);
  EXPECT_DOUBLE_EQ(pair.residual, pair.after->win_rate.value - pair.target.value);
  EXPECT_NEAR(pair.after->mismatch.value, 0.0, 0.003);
  EXPECT_GT(pair.before.mismatch.value, 0.4);
  const CalibratedPolicy& over = result.policies[0];
  EXPECT_LT(over.offset.value, -0.8);
  ASSERT_TRUE(over.offset_interval);
  EXPECT_LT(over.offset_interval->lo, over.offset.value);
  EXPECT_GE(over.offset_interval->hi, over.offset.value);
  EXPECT_EQ(result.policies[1].offset.value, 0.0);
  EXPECT_FALSE(result.policies[1].offset_interval);
}

TEST(Solve, SmoothModesMeetTheTargetInTheirOwnWinRate) {
  for (const char* mode : {"all-pairs", "block:100", "block:64"}) {
    const auto result =
        two(make_scores("over", 500, 1.0), make_scores("ref", 500, 0.0), 1216, 1248, quick(mode));
    EXPECT_NEAR(result.pairs[0].residual, 0.0, 1e-11) << mode;
    // The modes agree about where to go, and MD is reported on same-prompt pairs all the same.
    EXPECT_NEAR(result.policies[0].offset.value, -1.15, 0.25) << mode;
    EXPECT_NEAR(result.pairs[0].after->mismatch.value, 0.0, 0.1) << mode;
    EXPECT_NE(result.pairs[0].after->mismatch.value, 0.0) << mode;
    EXPECT_FALSE(result.policies[0].offset_interval) << mode;
  }
}

// The root by its definition: all sums in long double, found by bisection.
TEST(Solve, SmoothRootsAreWithinANanoOfLongDouble) {
  constexpr std::size_t kRows = 230;  // not a multiple of the block
  const auto table =
      make_table({make_scores("over", kRows, 1.3), make_scores("ref", kRows, 0.0)}, "ref");
  const auto rows = table.pair(0, 1);
  for (const double elo : {900.0, 1216.0, 1248.0, 1700.0}) {
    const std::vector ratings{make_rating("over", elo), make_rating("ref", 1248)};
    for (const std::size_t block : {kRows, std::size_t{100}}) {
      const SolveOptions options = quick(block == kRows ? "all-pairs" : "block:100");
      const long double target = 1.0L / (1.0L + std::pow(10.0L, (1248.0L - elo) / 400.0L));
      const auto rate = [&](long double offset) {
        long double sum = 0.0L;
        for (std::size_t first = 0; first < kRows; first += block) {
          const std::size_t last = std::min(first + block, kRows);
          long double part = 0.0L;
          for (std::size_t i = first; i < last; ++i) {
            for (std::size_t j = first; j < last; ++j) {
              part += 1.0L / (1.0L + std::exp(-(rows.over[i] + offset - rows.ref[j]) / 0.1L));
            }
          }
          sum += part / static_cast<long double>(last - first);
        }
        return sum / static_cast<long double>(kRows);
      };
      long double lo = -50.0L, hi = 50.0L;
      for (int step = 0; step < 70; ++step) {
        const long double middle = 0.5L * (lo + hi);
        (rate(middle) < target ? lo : hi) = middle;
      }
      const Calibration found = solve(table, ratings, 1, options);
      EXPECT_NEAR(found.policies[0].offset.value, static_cast<double>(lo), 1e-9)
          << "rating " << elo << ", blocks of " << block;
    }
  }
}

TEST(Solve, EqualRatingsAndShiftedScoresGiveTheShift) {
  ScoreFile ref = make_scores("ref", 400, 0.0);
  ScoreFile over = ref;
  for (Score& row : over.rows) {
    row.policy = "over";
    row.score += 2.0f;
  }
  EXPECT_NEAR(two(over, ref, 1200, 1200, quick("all-pairs")).policies[0].offset.value, -2.0, 1e-6);
  EXPECT_NEAR(two(over, ref, 1200, 1200, quick("block:150")).policies[0].offset.value, -2.0, 1e-6);
}

TEST(Solve, ConstantAddedToAllScoresMovesNothing) {
  ScoreFile over = make_scores("over", 300, 1.0);
  ScoreFile ref = make_scores("ref", 300, 0.0);
  coarsen(over, 0.0078125);
  coarsen(ref, 0.0078125);
  ScoreFile moved_over = over;
  ScoreFile moved_ref = ref;
  for (Score& row : moved_over.rows) row.score += 16.0f;
  for (Score& row : moved_ref.rows) row.score += 16.0f;
  for (const char* mode : {"same-prompt", "all-pairs", "block:100"}) {
    const auto before = two(over, ref, 1216, 1248, quick(mode));
    const auto after = two(moved_over, moved_ref, 1216, 1248, quick(mode));
    EXPECT_NEAR(before.policies[0].offset.value, after.policies[0].offset.value, 1e-9) << mode;
    EXPECT_EQ(before.pairs[0].after->win_rate.value, after.pairs[0].after->win_rate.value) << mode;
  }
}

TEST(Solve, SwappedPoliciesMirrorTheWinRateUnderHalf) {
  ScoreFile over = make_scores("over", 300, 1.0);
  ScoreFile ref = make_scores("ref", 300, 0.0);
  coarsen(over, 0.25);
  coarsen(ref, 0.25);
  const auto table = make_table({over, ref}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  SolveOptions options = quick("same-prompt");
  options.ties = results::TieRule::kHalf;
  const auto one = solve(table, ratings, 1, options);
  const auto other = solve(table, ratings, 0, options);
  EXPECT_NEAR(one.policies[0].offset.value, -other.policies[1].offset.value, 1e-12);
  EXPECT_NEAR(one.pairs[0].before.win_rate.value + other.pairs[0].before.win_rate.value, 1.0,
              1e-12);
  EXPECT_NEAR(one.pairs[0].after->win_rate.value + other.pairs[0].after->win_rate.value, 1.0,
              1e-12);
  EXPECT_NEAR(one.pairs[0].before.win_rate.value + one.other_pairs[0].before.win_rate.value, 1.0,
              1e-12);
  EXPECT_EQ(one.other_pairs[0].policy, "ref");
}

TEST(Solve, CoarseScoresAreWarnedAboutAndTiesCounted) {
  ScoreFile over = make_scores("over", 300, 1.0);
  ScoreFile ref = make_scores("ref", 300, 0.0);
  coarsen(over, 1.0);
  coarsen(ref, 1.0);
  const auto result = two(over, ref, 1216, 1248, quick("same-prompt"));
  EXPECT_GT(result.pairs[0].before.ties, 30);
  EXPECT_EQ(result.pairs[0].after->ties, 0);
  ASSERT_FALSE(result.warnings.empty());
  EXPECT_THAT(result.warnings[0], HasSubstr("differences of scores are equal"));
}

TEST(Solve, DisjointRangesHaveAnAnswerAndAWarning) {
  for (const char* mode : {"same-prompt", "all-pairs", "block:100"}) {
    const auto result =
        two(make_scores("over", 200, 100.0), make_scores("ref", 200, 0.0), 1216, 1248, quick(mode));
    EXPECT_NEAR(result.policies[0].offset.value, -100.0, 1.0) << mode;
    ASSERT_FALSE(result.warnings.empty());
    EXPECT_THAT(result.warnings[0], HasSubstr("do not overlap"));
  }
}

void expect_error(const ScoreFile& over, const ScoreFile& ref, double elo,
                  const SolveOptions& options, ErrorKind kind, const std::string& part) {
  try {
    two(over, ref, elo, 1200, options);
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(part));
  }
}

TEST(Solve, NoAnswerIsAnError) {
  const auto over = make_scores("over", 60, 1.0);
  const auto ref = make_scores("ref", 60, 0.0);
  expect_error(over, ref, 200, quick("same-prompt"), ErrorKind::kInput, "nearest win rate is 0");
  expect_error(over, ref, 2200, quick("same-prompt"), ErrorKind::kInput, "nearest win rate is 1");
  expect_error(over, ref, 9000, quick("all-pairs"), ErrorKind::kInput, "no finite offset");

  ScoreFile same = ref;
  for (Score& row : same.rows) row.policy = "over";
  expect_error(same, ref, 1200, quick("same-prompt"), ErrorKind::kInput,
               "difference of their scores is 0 on all 60");

  SolveOptions adam = quick("same-prompt");
  adam.solver = SolverKind::kAdam;
  expect_error(over, ref, 1200, adam, ErrorKind::kUsage, "no same-prompt form");
}

TEST(Solve, AJointAnswerWithoutBoundIsAnError) {
  // Everything loses to 'top' on every prompt, and its rating says it should.
  const std::vector<ScoreFile> files = {make_scores("top", 60, 50.0), make_scores("low", 60, 0.0),
                                        make_scores("ref", 60, 0.0)};
  const std::vector ratings{make_rating("top", 3000), make_rating("low", 1200),
                            make_rating("ref", 1200)};
  try {
    solve(make_table(files, "ref"), ratings, 2, quick("same-prompt"));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), HasSubstr("no finite offset of 'top'"));
  }
}

TEST(Solve, RatingsWithoutIntervalAreSaidToBeTakenAsExact) {
  const auto table = make_table({make_scores("over", 60, 1.0), make_scores("ref", 60, 0.0)}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248, 5.0)};
  SolveOptions options = quick("same-prompt");
  options.bootstrap = 20;
  EXPECT_THAT(solve(table, ratings, 1, options).warnings,
              testing::Contains(HasSubstr("no rating interval for over: taken as exact")));
}

// With coarse scores a plateau of offsets answers alike, and an interval that rests on the
// plateaus' middles leaves their ends out.
TEST(Solve, IntervalsKnowOfPlateaus) {
  auto over = make_scores("over", 4000, 1.0);
  auto ref = make_scores("ref", 4000, 0.0);
  coarsen(over, 0.5);
  coarsen(ref, 0.5);
  const auto table = make_table({over, ref}, "ref");
  const std::vector ratings{make_rating("over", 1216), make_rating("ref", 1248)};
  SolveOptions options = quick("same-prompt");
  options.bootstrap = 400;
  const CalibratedPolicy policy = solve(table, ratings, 1, options).policies[0];
  ASSERT_TRUE(policy.offset.ci95 && policy.offset_interval);
  // 4,000 rows leave no doubt of the plateau, half a score unit wide: every resample ends on it.
  EXPECT_NEAR(policy.offset_interval->hi - policy.offset_interval->lo, 0.5, 1e-9);
  EXPECT_NEAR(policy.offset.ci95->hi - policy.offset.ci95->lo, 0.95 * 0.5, 0.05);
}

TEST(Solve, IntervalsCoverAndDoNotDependOnThreads) {
  for (const char* mode : {"same-prompt", "all-pairs", "block:100"}) {
    SolveOptions options = quick(mode, 300);
    const auto one =
        two(make_scores("over", 400, 1.0), make_scores("ref", 400, 0.0), 1216, 1248, options, 5.0);
    options.num_threads = 3;
    const auto three =
        two(make_scores("over", 400, 1.0), make_scores("ref", 400, 0.0), 1216, 1248, options, 5.0);
    nlohmann::ordered_json inputs = nlohmann::ordered_json::array();
    EXPECT_EQ(to_json(one, inputs).dump(), to_json(three, inputs).dump()) << mode;

    const CalibratedPolicy& over = one.policies[0];
    ASSERT_TRUE(over.offset.ci95) << mode;
    EXPECT_LT(over.offset.ci95->lo, over.offset.value) << mode;
    EXPECT_GT(over.offset.ci95->hi, over.offset.value) << mode;
    // Differences have a deviation of 1.41: the median's standard error is 1.25 * 1.41 / sqrt(400)
    // = 0.09.
    EXPECT_NEAR(*over.offset_se, 0.09, 0.04) << mode;
    const results::Pair& pair = one.pairs[0];
    EXPECT_LT(pair.after->mismatch.ci95->lo, 0.0) << mode;
    EXPECT_GT(pair.after->mismatch.ci95->hi, 0.0) << mode;
    EXPECT_LT(pair.before.mismatch.ci95->lo, pair.before.mismatch.value) << mode;
    EXPECT_GT(pair.before.mismatch.ci95->hi, pair.before.mismatch.value) << mode;
    EXPECT_LT(pair.target.ci95->lo, pair.target.value) << mode;
    EXPECT_EQ(*one.policies[1].offset_se, 0.0) << mode;

    options.seed = 9;
    const auto other =
        two(make_scores("over", 400, 1.0), make_scores("ref", 400, 0.0), 1216, 1248, options, 5.0);
    EXPECT_NE(other.policies[0].offset.ci95->lo, over.offset.ci95->lo) << mode;
    EXPECT_EQ(other.policies[0].offset.value, over.offset.value) << mode;
  }
}

TEST(Solve, OffsetIntervalsCoverTheTruth) {
  // Repeated worlds: normal differences with a planted shift, whose right offset is known in closed
  // form (median, target 1/2).
  int covered = 0;
  constexpr int kWorlds = 60;
  for (int world = 0; world < kWorlds; ++world) {
    const auto seed = static_cast<std::uint64_t>(100 + world);
    const auto result =
        two(make_scores("over", 200, 0.8, 1.0, seed), make_scores("ref", 200, 0.0, 1.0, seed), 1200,
            1200, quick("same-prompt", 200));
    covered +=
        result.policies[0].offset.ci95->lo <= -0.8 && -0.8 <= result.policies[0].offset.ci95->hi;
  }
  EXPECT_GE(covered, kWorlds * 80 / 100);
}

TEST(Solve, AdamEndsNearTheExactAnswer) {
  // The original stops after 100 epochs of 0.01: it gets as far as about one score unit.
  SolveOptions options = quick("block:100");
  const auto over = make_scores("over", 300, 0.3);
  const auto ref = make_scores("ref", 300, 0.0);
  const double exact = two(over, ref, 1216, 1248, options).policies[0].offset.value;
  options.solver = SolverKind::kAdam;
  const auto adam = two(over, ref, 1216, 1248, options);
  EXPECT_NEAR(adam.policies[0].offset.value, exact, 0.05);
  EXPECT_EQ(adam.policies[1].offset.value, 0.0);
  options.seed = 5;
  EXPECT_NE(two(over, ref, 1216, 1248, options).policies[0].offset.value,
            adam.policies[0].offset.value);
}

TEST(Solve, AdamDoesNotMoveAcrossDisjointRanges) {
  SolveOptions options = quick("block:100");
  options.solver = SolverKind::kAdam;
  const auto result =
      two(make_scores("over", 100, 100.0), make_scores("ref", 100, 0.0), 1216, 1248, options);
  EXPECT_GT(result.policies[0].offset.value, -2.0);
}

TEST(Names, RoundTripAndRefuse) {
  for (const char* word : {"same-prompt", "all-pairs", "block:1000"})
    EXPECT_EQ(mode_name(parse_mode(word)), word);
  for (const char* word : {"block", "block:", "block:0", "block:-1", "block:1x", "pairs", ""}) {
    EXPECT_ERROR(kUsage, "expected same-prompt, all-pairs or block:N", parse_mode(word)) << word;
  }
  EXPECT_EQ(solver_name(parse_solver("adam")), "adam");
  EXPECT_ERROR(kUsage, "expected exact or adam", parse_solver("sgd"));
  EXPECT_EQ(pair_weights_name(parse_pair_weights("count")), "count");
  EXPECT_ERROR(kUsage, "expected equal or count", parse_pair_weights("none"));
}

}  // namespace
}  // namespace charm::calibrate
