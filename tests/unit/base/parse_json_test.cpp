#include "charm/base/parse_json.h"

#include <gtest/gtest.h>

#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

TEST(ParseJson, CountsBracketsOutsideOfStrings) {
  EXPECT_FALSE(nests_deeper_than("", 0));
  EXPECT_FALSE(nests_deeper_than(R"({"a": [1, {"b": 2}]})", 3));
  EXPECT_TRUE(nests_deeper_than(R"({"a": [1, {"b": 2}]})", 2));
  EXPECT_FALSE(nests_deeper_than(R"(["[[[[", "\"[[[["])", 1));
  EXPECT_TRUE(nests_deeper_than(R"(["\\", [])", 1));
  EXPECT_FALSE(nests_deeper_than("[][][][]", 1));
  EXPECT_FALSE(nests_deeper_than("\"[[[[", 1));  // a string that does not end
}

TEST(ParseJson, ErrorsNameTheFileAndTheReason) {
  EXPECT_EQ(parse_json(R"({"a": 1})", "f")["a"], 1);
  EXPECT_NE(testing::error_of([] { parse_json("{", "dir/f.json"); })
                .message()
                .find("dir/f.json: not JSON: parse error at line 1"),
            std::string::npos);
  const Error deep = testing::error_of(
      [] { parse_json(std::string(300, '[') + std::string(300, ']'), "f.json"); });
  EXPECT_EQ(deep.kind(), ErrorKind::kInput);
  EXPECT_NE(deep.message().find("deeper than 200"), std::string::npos);
}

}  // namespace
}  // namespace charm
