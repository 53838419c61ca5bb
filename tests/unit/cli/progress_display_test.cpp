#include "charm/cli/progress_display.h"

#include <gtest/gtest.h>

namespace charm::cli {
namespace {

TEST(ProgressText, ShowsCountRateAndTimeLeft) {
  EXPECT_EQ(progress_text({"scoring", 120, 805, "rows", "412 tokens/s"}, 12.34),
            "scoring  120/805 rows  12.3 rows/s  0:56 left  (412 tokens/s)");
}

TEST(ProgressText, LeavesOutWhatIsUnknown) {
  EXPECT_EQ(progress_text({"reading", 5, 0, "rows", ""}, 0.0), "reading  5 rows");
  EXPECT_EQ(progress_text({"training", 3, 10, "steps", ""}, 0.08),
            "training  3/10 steps  12.5 s/step  1:28 left");
  EXPECT_EQ(progress_text({"training", 10, 10, "steps", ""}, 2.0),
            "training  10/10 steps  2.0 steps/s");
}

TEST(ProgressText, CountsHours) {
  EXPECT_EQ(progress_text({"training", 0, 7322, "steps", ""}, 1.0),
            "training  0/7322 steps  1.0 steps/s  2:02:02 left");
}

TEST(ProgressRate, CountsFromWhereAPieceOfWorkBegan) {
  ProgressRate rate;
  EXPECT_TRUE(rate.update({"training", 12, 49, "steps", ""}, 100.0));  // resumed at step 12
  EXPECT_EQ(rate.per_second(), 0.0);
  EXPECT_FALSE(rate.update({"training", 22, 49, "steps", ""}, 105.0));
  EXPECT_DOUBLE_EQ(rate.per_second(), 2.0);
  EXPECT_FALSE(rate.update({"training", 49, 49, "steps", ""}, 110.0));
  EXPECT_TRUE(rate.update({"training", 0, 49, "steps", ""}, 200.0)) << "the next model of a recipe";
  EXPECT_FALSE(rate.update({"training", 8, 49, "steps", ""}, 204.0));
  EXPECT_DOUBLE_EQ(rate.per_second(), 2.0);
  EXPECT_TRUE(rate.update({"scoring", 9, 10, "rows", ""}, 210.0));
}

TEST(ProgressBar, FillsWithTheShare) {
  EXPECT_EQ(progress_bar(0.0, 4), "[>   ]");
  EXPECT_EQ(progress_bar(0.5, 4), "[==> ]");
  EXPECT_EQ(progress_bar(1.0, 4), "[====]");
  EXPECT_EQ(progress_bar(7.0, 4), "[====]");
}

}  // namespace
}  // namespace charm::cli
