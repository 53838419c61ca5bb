#include "charm/base/text_table.h"

#include <gtest/gtest.h>

namespace charm {
namespace {

TEST(TextTable, AlignsByCodePoints) {
  EXPECT_EQ(text_table({{"subset", "rows"}, {"caf\xC3\xA9", "12345"}, {"x"}}),
            "subset   rows\n"
            "caf\xC3\xA9    12345\n"
            "x\n");
  EXPECT_EQ(num_code_points("\xC3\xA9\xF0\x9F\x99\x82"), 2u);
}

}  // namespace
}  // namespace charm
