#include "charm/base/strings.h"

#include <gtest/gtest.h>

#include <string>

namespace charm {
namespace {

using std::string_literals::operator""s;

TEST(Utf8, AcceptsEveryLength) {
  EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("plain \0 text"s), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("\xc3\xa9 \xe2\x82\xac \xf0\x9f\xa7\xaa"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
            std::nullopt);  // around the forbidden ranges
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8("ab\x80"), 2u);            // a continuation alone
  EXPECT_EQ(find_invalid_utf8("ab\xc3"), 2u);            // cut off
  EXPECT_EQ(find_invalid_utf8("a\xc3(b"), 1u);           // no continuation
  EXPECT_EQ(find_invalid_utf8("\xc0\xaf"), 0u);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xe0\x80\xaf"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("x\xed\xa0\x80"), 1u);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xff"), 0u);
}

TEST(TextTable, AlignsByCodePoints) {
  EXPECT_EQ(text_table({{"subset", "rows"}, {"caf\xC3\xA9", "12345"}, {"x"}}),
            "subset   rows\n"
            "caf\xC3\xA9    12345\n"
            "x\n");
  EXPECT_EQ(num_code_points("\xC3\xA9\xF0\x9F\x99\x82"), 2u);
}

TEST(NearestNames, AreOrderedByEditDistanceWithoutCase) {
  const std::vector<std::string> names = {"gemma-2b", "GPT-4o-mini", "gpt-4"};
  EXPECT_EQ(nearest_names("gpt-4o", names, 2), (std::vector<std::string>{"gpt-4", "GPT-4o-mini"}));
}

}  // namespace
}  // namespace charm
