#include "charm/show/show_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace charm::show {
namespace {

using testing::HasSubstr;

ShowResult made_up_result() {
  ShowResult result;
  result.policy = "loud";
  result.against = "quiet";
  result.offset = -2.5;
  result.target = 0.4;
  result.num_common = 8;
  result.num_flips = 2;
  result.win_rate_before = 0.75;
  result.win_rate_after = 0.4;
  result.comparisons = {{{.prompt_id = "p1",
                          .score_policy = 2.0,
                          .score_against = 0.0,
                          .before = Winner::kPolicy,
                          .after = Winner::kAgainst},
                         /*prompt=*/{{"user", "Why?"}},
                         /*response_policy=*/std::string(2000, 'x'),
                         /*response_against=*/""}};
  return result;
}

TEST(ShowText, SaysWhatTheOffsetChanges) {
  const ShowResult result = made_up_result();
  const std::string text =
      summary_text(result, {.width = 80}) + comparisons_text(result, {.width = 80});
  EXPECT_THAT(text, HasSubstr("win rate 0.750, with the offset -2.5 0.400, target 0.400"));
  EXPECT_THAT(text, HasSubstr("mismatch degree +0.583, with the offset +0.000"));
  EXPECT_THAT(text, HasSubstr("the offset flips 2 of 8 comparisons"));
  EXPECT_THAT(text, HasSubstr("1. FLIPS: loud wins, with the offset quiet wins"));
  EXPECT_THAT(text, HasSubstr("score 2 against 0, difference +2, with the offset -0.5"));
  EXPECT_THAT(text, HasSubstr("(empty)"));
}

TEST(ShowText, FitsTheTerminal) {
  for (const std::int64_t width : {30, 80, 200}) {
    std::istringstream lines(comparisons_text(made_up_result(), {.width = width, .lines = 3}));
    std::size_t num_lines = 0;
    for (std::string line; std::getline(lines, line); ++num_lines)
      EXPECT_LE(display_width(line), static_cast<std::size_t>(width));
    EXPECT_LT(num_lines, 16u);
  }
}

}  // namespace
}  // namespace charm::show
