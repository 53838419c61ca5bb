#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/show/show_text.h"

namespace charm::show {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(WrapText, BreaksAtBlanksAndKeepsLineBreaks) {
  EXPECT_THAT(wrap_text("one two three\n\n  four", 8, 0),
              ElementsAre("one two", "three", "  four"));
  EXPECT_THAT(wrap_text("abcdefghij", 4, 0), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap_text("  \n \n", 4, 0), IsEmpty());
  EXPECT_THAT(wrap_text("      abcdefgh", 8, 0), ElementsAre("      ab", "cdefgh"));
}

TEST(WrapText, CutsWithAnEllipsisAndSaysWhatIsMissing) {
  EXPECT_THAT(wrap_text("one two three four five", 40, 1), ElementsAre("one two three four five"));
  EXPECT_THAT(wrap_text("first line\nsecond line", 40, 1),
              ElementsAre("first line … (11 more characters)"));
  // What is cut of the last line to make room is the smaller part.
  for (const std::string& line : wrap_text(std::string(500, 'x'), 40, 2))
    EXPECT_LE(display_width(line), 40u);
}

TEST(WrapText, WideCharactersTakeTwoColumns) {
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_THAT(wrap_text("日本語", 4, 0), ElementsAre("日本", "語"));
}

TEST(WrapText, TextsCannotControlTheTerminal) {
  EXPECT_EQ(without_controls("a\x1b[31mb\r\n\tc\x7f\xc2\x9b"), "a\u241b[31mb\n  c\ufffd\ufffd");
  EXPECT_EQ(without_controls("a\xff"
                             "b"),
            "a\ufffd"
            "b");
}

}  // namespace
}  // namespace charm::show
