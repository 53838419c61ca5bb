#include <gtest/gtest.h>

#include <cmath>

#include "charm/train/trainer.h"

namespace charm::train {
namespace {

TEST(Schedule, RisesLinearlyThenFallsAlongACosine) {
  const Schedule schedule = make_schedule(1e-3, 10, 0.2);
  EXPECT_EQ(schedule.warmup_steps, 2);
  EXPECT_DOUBLE_EQ(schedule.rate_at(0), 1e-3 / 3);
  EXPECT_DOUBLE_EQ(schedule.rate_at(1), 2e-3 / 3);
  EXPECT_DOUBLE_EQ(schedule.rate_at(2), 1e-3);
  EXPECT_NEAR(schedule.rate_at(6), 0.5e-3, 1e-18);
  EXPECT_NEAR(schedule.rate_at(4), 1e-3 * 0.5 * (1 + std::cos(M_PI / 4)), 1e-18);
  EXPECT_NEAR(schedule.rate_at(10), 0.0, 1e-18);
}

TEST(Schedule, WarmUpIsRoundedUpAndMayBeAbsent) {
  EXPECT_EQ(make_schedule(1.0, 101, 0.03).warmup_steps, 4);
  EXPECT_EQ(make_schedule(1.0, 1, 0.0).rate_at(0), 1.0);
}

TEST(Schedule, NoStepHasRateZero) {
  for (const std::int64_t num_steps : {1, 2, 3, 10, 1000}) {
    for (const double fraction : {0.0, 0.03, 0.5, 0.99}) {
      const Schedule schedule = make_schedule(2e-6, num_steps, fraction);
      for (std::int64_t step = 0; step < num_steps; ++step) {
        EXPECT_GT(schedule.rate_at(step), 0.0) << step << " of " << num_steps << ", " << fraction;
        EXPECT_LE(schedule.rate_at(step), 2e-6) << step << " of " << num_steps << ", " << fraction;
      }
    }
  }
}

}  // namespace
}  // namespace charm::train
