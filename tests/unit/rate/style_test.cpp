#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/rate/ratings.h"
#include "charm/records/arena.h"
#include "tests/support/source_dir.h"

namespace charm::rate {
namespace {

TEST(Style, CountsAsFastChat) {
  const auto rows = nlohmann::json::parse(
      read_file(fs::path(charm::test::kSourceDir) / "tests/data/golden/rate/styles.json"));
  ASSERT_GT(rows.size(), 10u);
  for (const auto& row : rows) {
    const auto text = row.at("text").get<std::string>();
    const StyleCounts counts = count_style(text);
    EXPECT_EQ(counts.length, row.at("length").get<double>()) << text;
    EXPECT_EQ(counts.headers, row.at("headers").get<double>()) << text;
    EXPECT_EQ(counts.lists, row.at("lists").get<double>()) << text;
    EXPECT_EQ(counts.bold, row.at("bold").get<double>()) << text;
  }
}

TEST(Style, DifferencesMirrorAndStayFiniteWithoutAnyCount) {
  const StyleCounts a{.length = 30, .headers = 0, .lists = 4, .bold = 0};
  const StyleCounts b{.length = 10, .headers = 0, .lists = 0, .bold = 1};
  for (const StyleControl control : {StyleControl::kFastChat, StyleControl::kArenaRank}) {
    const auto one = style_differences(a, b, control);
    const auto other = style_differences(b, a, control);
    for (std::size_t f = 0; f < kNumStyles; ++f) EXPECT_EQ(one[f], -other[f]);
    EXPECT_EQ(one[1], 0.0);
  }
  EXPECT_EQ(style_differences(a, b, StyleControl::kArenaRank)[0], 0.5);
  EXPECT_EQ(style_differences(a, b, StyleControl::kFastChat)[0], 20.0 / 41.0);
}

}  // namespace
}  // namespace charm::rate
