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
  EXPECT_EQ(progress_text({"training", 10, 10, "steps", ""}, 2.0), "training  10/10 steps  2.0 steps/s");
}

TEST(ProgressText, CountsHours) {
  EXPECT_EQ(progress_text({"training", 0, 7322, "steps", ""}, 1.0), "training  0/7322 steps  1.0 steps/s  2:02:02 left");
}

TEST(ProgressBar, FillsWithTheShare) {
  EXPECT_EQ(progress_bar(0.0, 4), "[>   ]");
  EXPECT_EQ(progress_bar(0.5, 4), "[==> ]");
  EXPECT_EQ(progress_bar(1.0, 4), "[====]");
  EXPECT_EQ(progress_bar(7.0, 4), "[====]");
}

}  // namespace
}  // namespace charm::cli
