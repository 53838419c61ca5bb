#include "charm/base/utf8.h"

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

}  // namespace
}  // namespace charm
