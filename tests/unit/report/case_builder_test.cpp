#include "charm/report/case_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/base/temp_folder.h"

namespace charm::report {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back("p" + std::to_string(i));
  return ids;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

TEST(DrawCases, TheLargerHalfIsTheFrontTheRestADraw) {
  const std::vector<std::string> ids = numbered(100);
  const std::vector<DrawnCase> drawn = draw_cases(views_of(ids), 7, 0);
  std::size_t num_largest = 0, num_random = 0;
  for (const DrawnCase& one : drawn) {
    num_largest += one.is_largest;
    num_random += one.is_random;
    EXPECT_EQ(one.is_largest, one.place < 4);
  }
  EXPECT_EQ(num_largest, 4u);
  EXPECT_EQ(num_random, 3u);
  EXPECT_TRUE(draw_cases(views_of(ids), 0, 0).empty());
  EXPECT_EQ(draw_cases(views_of(ids), 1, 0).size(), 1u);
}

TEST(DrawCases, GoesByPromptAndSeed) {
  // The same prompts in another order give the same draw.
  const std::vector<std::string> ids = numbered(100);
  const std::vector<std::string> other(ids.rbegin(), ids.rend());
  const auto drawn_of = [](const std::vector<std::string>& all, std::uint64_t seed) {
    std::vector<std::string> drawn;
    for (const DrawnCase& one : draw_cases(views_of(all), 10, seed)) {
      if (one.is_random) drawn.push_back(all[one.place]);
    }
    std::sort(drawn.begin(), drawn.end());
    return drawn;
  };
  EXPECT_EQ(drawn_of(ids, 3), drawn_of(other, 3));
  EXPECT_NE(drawn_of(ids, 3), drawn_of(ids, 4));
}

TEST(DrawCases, IsUniform) {
  // 2000 seeds, 5 of 20 prompts: every prompt 500 times, standard deviation 19.4.
  const std::vector<std::string> ids = numbered(20);
  std::vector<int> counts(ids.size());
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (const DrawnCase& one : draw_cases(views_of(ids), 10, seed))
      counts[one.place] += one.is_random;
  }
  for (const int count : counts) EXPECT_NEAR(count, 500, 4.5 * 19.4);
}

TEST(DrawCases, OneRowOfAPrompt) {
  const std::vector<std::string> ids = {"a", "a", "a", "b"};
  std::size_t num_random = 0;
  for (const DrawnCase& one : draw_cases(views_of(ids), 8, 0)) num_random += one.is_random;
  EXPECT_EQ(num_random, 2u);
}

TEST(FindRecorded, FollowsAMovedRun) {
  const testing::TempFolder folder;
  const fs::path file = folder.file("scores/rm/a.parquet", "x");
  EXPECT_EQ(find_recorded(folder.path(), file), file);
  EXPECT_EQ(find_recorded(folder.path(), "old/place/run/scores/rm/a.parquet"), file);
  EXPECT_EQ(find_recorded(folder.path(), "/elsewhere/scores/rm/a.parquet"), file);
  EXPECT_FALSE(find_recorded(folder.path(), "old/scores/other/a.parquet"));
}

TEST(CaseSet, LinksToPairsInEitherOrder) {
  CaseSet set;
  set.groups = {{.key = "md/rm", .title = "", .order = "", .notes = {}}};
  set.cells = {{.a = "x/y", .b = "z", .cases = {{}}}, {.a = "x/y", .b = "none"}};
  EXPECT_EQ(set.link("md/rm", "z", "x/y"), "#cases=md%2Frm&a=z&b=x%2Fy");
  EXPECT_EQ(set.link("md/rm", "x/y", "none"), "");
  EXPECT_EQ(set.link("md/other", "x/y", "z"), "");
  EXPECT_EQ(set.link("md/rm"), "#cases=md%2Frm");
  EXPECT_EQ(url_component("a b&=\"é"), "a%20b%26%3D%22%C3%A9");
}

TEST(CaseBuilder, AddsACaseOfTwoCellsOnce) {
  CaseBuilder builder(".", 4, 0);
  builder.begin_group("g", "", "");
  const auto [first, is_new] = builder.add_case("key", {.id = "", .prompt_id = "p"});
  EXPECT_TRUE(is_new);
  EXPECT_FALSE(builder.add_case("key", {}).second);
  builder.begin_group("h", "", "");
  EXPECT_TRUE(builder.add_case("key", {}).second);
  const CaseSet set = builder.finish();
  EXPECT_EQ(set.cases.size(), 2u);
  EXPECT_NE(set.cases[0].id, set.cases[1].id);
  EXPECT_EQ(set.cases[first].prompt_id, "p");
}

TEST(TextPool, StoresATextOnceWithItsFeatures) {
  TextPool pool;
  const std::size_t answer = pool.add("- one\n- two", /*is_response=*/true);
  EXPECT_EQ(pool.add("- one\n- two", /*is_response=*/true), answer);
  EXPECT_NE(pool.add("- one\n- two", /*is_response=*/false), answer);
  EXPECT_EQ(pool.texts()[answer].features->at(2), 2.0);  // lists
  EXPECT_FALSE(pool.texts()[1].features);
}

}  // namespace
}  // namespace charm::report
