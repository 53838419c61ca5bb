#include "charm/storage/ratings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/storage/table.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using ::testing::HasSubstr;

class RatingsTest : public ::testing::Test {
 protected:
  void SetUp() override {}

  fs::path file(const std::string& name, std::string_view content) {
    write_file(folder_ / name, content);
    return folder_ / name;
  }

  void expect_error(const std::string& name, std::string_view content, ErrorKind kind,
                    const std::string& part, const RatingsOptions& options = {}) {
    try {
      read_ratings(file(name, content), options);
      FAIL() << "expected an error with: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.message(), HasSubstr(part));
      EXPECT_THAT(error.message(), HasSubstr(name));
    }
  }

  const testing::TempFolder folder_;
};

TEST_F(RatingsTest, PlainNumbers) {
  const auto ratings = read_ratings(file("r.json", R"({"b": 1273, "a": 1100.5})"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].name, "b");
  EXPECT_EQ(ratings[0].rating_elo, 1273.0);
  EXPECT_FALSE(ratings[0].rating_lo);
}

TEST_F(RatingsTest, OriginalPolicyModelConfig) {
  const auto ratings = read_ratings(file("pm_config.json", R"([
    {"model_name": "alpha-7b", "model_path": "", "arena_score": 1273},
    {"model_name": "beta-9b", "model_path": "x/y", "arena_score": 1258}])"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[1].name, "beta-9b");
  EXPECT_EQ(ratings[1].rating_elo, 1258.0);
}

TEST_F(RatingsTest, ListsWithIntervals) {
  const auto ratings = read_ratings(file("r.json", R"([
    {"name": "a", "score": 1, "ci": [0, 2]},
    {"model": "b", "rating": 2, "rating_q025": 1.5, "rating_q975": 2.5},
    {"model_name": "c", "elo": 3, "arena_ci": [2.5, 3.5]},
    {"name": "d", "arena_score": 4, "arena_ci": null}])"));
  ASSERT_EQ(ratings.size(), 4u);
  EXPECT_EQ(ratings[0].rating_lo, 0.0);
  EXPECT_EQ(ratings[1].rating_hi, 2.5);
  EXPECT_EQ(ratings[2].rating_lo, 2.5);
  EXPECT_FALSE(ratings[3].rating_hi);
}

TEST_F(RatingsTest, JsonLines) {
  const auto ratings = read_ratings(
      file("r.jsonl", "{\"name\": \"a\", \"elo\": 1}\n\n{\"name\": \"b\", \"elo\": 20}\n"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[1].name, "b");
  EXPECT_EQ(read_ratings(file("one.jsonl", "{\"name\": \"a\", \"elo\": 1}\n")).at(0).name, "a");
}

constexpr std::string_view kCatalogue = R"({
  "full": {"a": {"rating": 1200.5, "rating_q975": 1210, "rating_q025": 1190}, "b": {"rating": 1100}},
  "coding": {"a": {"rating": 1250}}})";

TEST_F(RatingsTest, ArenaCatalogue) {
  const auto ratings = read_ratings(file("catalogue.json", kCatalogue), {.category = "full"});
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].rating_elo, 1200.5);
  EXPECT_EQ(ratings[0].rating_lo, 1190.0);
  EXPECT_EQ(ratings[0].rating_hi, 1210.0);
  const auto one = read_ratings(file("one.json", R"({"full": {"a": {"rating": 1}}})"));
  EXPECT_EQ(one.at(0).name, "a");
  const auto flat = read_ratings(file("flat.json", R"({"a": {"rating": 1}, "b": {"rating": 20}})"));
  EXPECT_EQ(flat.size(), 2u);
}

TEST_F(RatingsTest, CatalogueNeedsACategory) {
  expect_error("c.json", kCatalogue, ErrorKind::kUsage, "2 Arena categories (full, coding)");
  expect_error("c.json", kCatalogue, ErrorKind::kUsage, "no Arena category 'math'",
               {.category = "math"});
  expect_error("r.json", R"({"a": 1})", ErrorKind::kUsage, "not an Arena catalogue",
               {.category = "full"});
}

TEST_F(RatingsTest, RowsMayNameTheirCategory) {
  constexpr std::string_view kTable =
      "model_name,rating,rating_lower,rating_upper,category\n"
      "a,1200,1190,1210,full\nb,1100,1090,1110,full\na,1300,1280,1320,coding\n";
  const auto full = read_ratings(file("t.csv", kTable), {.category = "full"});
  ASSERT_EQ(full.size(), 2u);
  EXPECT_EQ(full[0].rating_elo, 1200.0);
  EXPECT_EQ(full[0].rating_lo, 1190.0);
  EXPECT_EQ(full[1].rating_hi, 1110.0);
  expect_error("t.csv", kTable, ErrorKind::kUsage, "2 Arena categories (full, coding)");
  expect_error("t.csv", kTable, ErrorKind::kUsage, "nearest names: coding", {.category = "codign"});
  const std::string lines = R"({"name": "a", "elo": 1, "category": "x"})"
                            "\n"
                            R"({"name": "a", "elo": 2, "category": "y"})"
                            "\n";
  EXPECT_EQ(read_ratings(file("t.jsonl", lines), {.category = "y"}).at(0).rating_elo, 2.0);
  expect_error("l.jsonl", "{\"name\": \"a\", \"elo\": 1}\n{\"name\": \"b\", \"elo\": 1}\n",
               ErrorKind::kUsage, "not an Arena catalogue", {.category = "full"});
}

TEST_F(RatingsTest, Csv) {
  const auto ratings = read_ratings(file(
      "r.csv",
      "model,rating,rating_q025,rating_q975\r\n\"a, \"\"b\"\"\",1200.5,1190,1210\r\n42,1100,,\n"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].name, "a, \"b\"");
  EXPECT_EQ(ratings[0].rating_hi, 1210.0);
  EXPECT_EQ(ratings[1].name, "42");
  EXPECT_FALSE(ratings[1].rating_lo);
}

// lmarena-ai/leaderboard-dataset: rows of all categories, in the split `full` of all dates.
TEST_F(RatingsTest, LeaderboardDataset) {
  const std::string rows =
      R"({"model_name":"a","rating":1500.5,"rating_lower":1490,"rating_upper":1511,"category":"overall","leaderboard_publish_date":"2026-08-12"}
{"model_name":"b","rating":1400,"rating_lower":null,"rating_upper":null,"category":"overall","leaderboard_publish_date":"2026-08-12"}
{"model_name":"a","rating":1450,"category":"overall","leaderboard_publish_date":"2026-07-01"}
{"model_name":"a","rating":1300,"category":"math","leaderboard_publish_date":"2026-08-12"}
)";
  const auto chosen =
      read_ratings(file("full.jsonl", rows), {.category = "overall", .date = "2026-08-12"});
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].rating_elo, 1500.5);
  EXPECT_EQ(chosen[0].rating_lo, 1490.0);
  EXPECT_FALSE(chosen[1].rating_hi);
  EXPECT_EQ(read_ratings(file("full.jsonl", rows), {.category = "math"}).size(), 1u);
  expect_error("full.jsonl", rows, ErrorKind::kUsage, "2 dates, 2026-07-01 to 2026-08-12",
               {.category = "overall"});
  expect_error("full.jsonl", rows, ErrorKind::kUsage, "none of them '2026'",
               {.category = "overall", .date = "2026"});
  expect_error("r.csv", "name,elo\na,1000\n", ErrorKind::kUsage, "no column leaderboard_publish",
               {.date = "2026-07-01"});
  expect_error(
      "agent.jsonl",
      R"({"model_name":"a","score":0.12,"score_ci_lower":0.1,"session_count":19,"rank":1})",
      ErrorKind::kInput, "agent subset");
}

TEST_F(RatingsTest, Parquet) {
  struct Row {
    std::string name, category, date;
    double rating, lower;
  };
  const std::vector<Row> rows = {{"a", "overall", "2026-08-12", 1500.5, 1490.25},
                                 {"b", "overall", "2026-08-12", 1400, 1390},
                                 {"a", "overall", "2026-07-01", 1450, 1440},
                                 {"a", "math", "2026-08-12", 1300, 1290}};
  const fs::path path = folder_ / "full.parquet";
  write_table(path, {.columns = {{"model_name", ColumnType::kText},
                                 {"category", ColumnType::kText},
                                 {"leaderboard_publish_date", ColumnType::kText},
                                 {"rating", ColumnType::kDouble},
                                 {"rating_lower", ColumnType::kDouble},
                                 {"rating_upper", ColumnType::kDouble}},
                     .num_rows = rows.size(),
                     .fill = [&](std::size_t r, std::vector<Cell>& cells) {
                       cells = {std::string_view(rows[r].name),
                                std::string_view(rows[r].category),
                                std::string_view(rows[r].date),
                                rows[r].rating,
                                rows[r].lower,
                                rows[r].rating + 10};
                     }});
  const auto ratings = read_ratings(path, {.category = "overall", .date = "2026-08-12"});
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].name, "a");
  EXPECT_EQ(ratings[0].rating_elo, 1500.5);
  EXPECT_EQ(ratings[0].rating_lo, 1490.25);
  EXPECT_EQ(read_ratings(path, {.category = "overall", .date = "2026-07-01"}).size(), 1u);
}

TEST_F(RatingsTest, DatasetsServer) {
  const auto ratings = read_ratings(file("rows.json", R"({"features": [], "rows": [
    {"row_idx": 0, "row": {"model_name": "a", "rating": 1200, "category": "overall"}, "truncated_cells": []},
    {"row_idx": 1, "row": {"model_name": "b", "rating": 1100, "category": "overall"}, "truncated_cells": []}],
    "num_rows_total": 2})"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[1].name, "b");
}

TEST_F(RatingsTest, ArenaRanksResults) {
  for (const char* text :
       {R"({"competitors": ["a", "b"], "ratings": [1124.07, 990], "rating_lower": [1117.5, 980],
            "rating_upper": [1130.5, 1000], "variances": [1, 2]})",
        R"({"competitors": {"0": "a", "1": "b"}, "ratings": {"0": 1124.07, "1": 990},
            "rating_lower": {"0": 1117.5, "1": 980}, "rating_upper": {"0": 1130.5, "1": 1000}})"}) {
    const auto ratings = read_ratings(file("results.json", text));
    ASSERT_EQ(ratings.size(), 2u);
    EXPECT_EQ(ratings[0].name, "a");
    EXPECT_EQ(ratings[0].rating_elo, 1124.07);
    EXPECT_EQ(ratings[1].rating_lo, 980.0);
  }
  const auto table = read_ratings(file(
      "r.csv",
      ",competitors,ratings,rating_lower,rating_upper\n0,a,1124,1117,1130\n1,b,990,980,1000\n"));
  EXPECT_EQ(table.at(1).rating_hi, 1000.0);
  expect_error("r.json", R"({"competitors": ["a", "b"], "ratings": [1]})", ErrorKind::kInput,
               "2 competitors and 1 ratings");
}

TEST_F(RatingsTest, IntervalsOfTheArenasSite) {
  const auto ratings = read_ratings(file(
      "r.csv", "Rank,Model,Arena Score,95% CI,Votes\n1,a,1300,+5/-4,100\n2,b,1200,+10 / -9,50\n"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].rating_lo, 1296.0);
  EXPECT_EQ(ratings[0].rating_hi, 1305.0);
  EXPECT_EQ(ratings[1].rating_lo, 1191.0);
  for (const char* table : {"rank,model,arena_score,95_pct_ci,votes\n1,a,1300,+5/-5,100\n",
                            "Rank (UB),Model,Score,95% CI (\u00b1),Votes\n1,a,1300,\u00b15,100\n",
                            "Rank (UB),Model,Score,95% CI (\u00b1),Votes\n1,a,1300,5,100\n"}) {
    const auto published = read_ratings(file("r.csv", table));
    EXPECT_EQ(published.at(0).rating_elo, 1300.0) << table;
    EXPECT_EQ(published.at(0).rating_lo, 1295.0) << table;
    EXPECT_EQ(published.at(0).rating_hi, 1305.0) << table;
  }
  expect_error("r.csv", "name,elo,ci\na,1300,wide\n", ErrorKind::kInput, "+5/-4");
}

TEST_F(RatingsTest, OtherScalesThanElo) {
  expect_error("r.json", R"({"a": 0.3, "b": 0.7})", ErrorKind::kInput, "(win rates?)");
  expect_error("r.json", R"({"a": 0.3, "b": 0.7})", ErrorKind::kInput, "charm rate");
  expect_error("r.json", R"({"a": 8.99, "b": 7.94})", ErrorKind::kInput, "too close for Elo");
  expect_error("r.json", R"({"a": 1000, "b": 1000.1, "c": 1000.2, "d": 1000.3, "e": 1000.4})",
               ErrorKind::kInput, "too close for Elo");
  EXPECT_EQ(read_ratings(file("r.json", R"({"a": 1257.4, "b": 1256.6})")).size(), 2u);
  EXPECT_EQ(read_ratings(file("r.json", R"({"a": 1000, "b": 1000})")).size(), 2u);
  EXPECT_EQ(read_ratings(file("r.json", R"({"a": -30, "b": 30})")).size(), 2u);
}

// As R and pandas write it with every field quoted, and Excel with a byte order mark.
TEST_F(RatingsTest, CsvWithEveryFieldQuoted) {
  const auto ratings = read_ratings(file("r.csv",
                                         "\xEF\xBB\xBF\"name\",\"elo\",\"note\"\n\"7\",\"1200.5\","
                                         "\"two\nlines\"\n\n\"b\",\"1100\",\"\"\n"));
  ASSERT_EQ(ratings.size(), 2u);
  EXPECT_EQ(ratings[0].name, "7");
  EXPECT_EQ(ratings[0].rating_elo, 1200.5);
  EXPECT_EQ(ratings[1].rating_elo, 1100.0);
  EXPECT_EQ(read_ratings(file("r.tsv", "name\telo\r\na,b\t1200\r\n")).at(0).name, "a,b");
}

TEST_F(RatingsTest, BattlesAreRejected) {
  const std::string battle = R"({"model_a": "a", "model_b": "b", "winner": "model_a"})";
  expect_error("one.jsonl", battle + "\n", ErrorKind::kInput, "holds battles");
  expect_error("two.jsonl", battle + "\n" + battle + "\n", ErrorKind::kInput, "holds battles");
  expect_error("list.json", "[" + battle + "]", ErrorKind::kInput, "holds battles");
  expect_error("b.csv", "model_a,model_b,winner\na,b,tie\n", ErrorKind::kInput, "holds battles");
}

TEST_F(RatingsTest, WrongInput) {
  expect_error("r.json", "[]", ErrorKind::kInput, "holds no rating");
  expect_error("r.json", "{}", ErrorKind::kInput, "holds no rating");
  expect_error("r.json", "17", ErrorKind::kInput, "expected an object or a list");
  expect_error("r.json", "{\"a\": 1,\n oops", ErrorKind::kInput, ":1:");
  expect_error("r.json", R"({"a": "high"})", ErrorKind::kInput, "rating of 'a' is \"high\"");
  expect_error("rm_config.json", R"([{"model_name": "rm", "pipeline_class": "LlamaPipeline"}])",
               ErrorKind::kInput, "entry 1 ('rm') has no rating");
  expect_error("r.json", R"([{"elo": 1}])", ErrorKind::kInput, "entry 1 has no name");
  expect_error("r.json", R"([{"name": "a", "elo": 1, "ci": [1]}])", ErrorKind::kInput,
               "expected [lo, hi]");
  expect_error("r.json", R"([{"name": "a", "elo": 1, "ci": [2, 1]}])", ErrorKind::kInput,
               "lower end first");
  expect_error("r.json", R"([{"name": "a", "elo": 1}, {"name": "a", "elo": 2}])", ErrorKind::kInput,
               "rates 'a' twice");
  expect_error("r.json", R"({"a": 1, "b": 2, "a": 3})", ErrorKind::kInput, "names 'a' twice");
  expect_error("r.json", R"({"x": {"a": {"rating": 1}, "a": {"rating": 2}}})", ErrorKind::kInput,
               "names 'a' twice");
  expect_error("r.json", R"({"a": 1e999})", ErrorKind::kInput, "overflow");
  expect_error("r.csv", "name,elo\na,1,2\n", ErrorKind::kInput,
               "Row #2: Expected 2 columns, got 3");
  expect_error("r.csv", "name,elo\nb,1\n\"a,1\n", ErrorKind::kInput,
               "r.csv:3: the quotes around a field are never closed");
  expect_error("r.csv", "", ErrorKind::kInput, "the file is empty");
  expect_error("r.json", "{\"a\xff\": 1}", ErrorKind::kInput, "UTF-8");
}

TEST_F(RatingsTest, MissingFileIsAnIoError) {
  try {
    read_ratings(folder_ / "absent.json");
    FAIL() << "no error for a missing file";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

ArenaRating rating(std::string name, double elo) {
  return {.name = std::move(name), .rating_elo = elo, .rating_lo = {}, .rating_hi = {}};
}

TEST(MatchRatings, AliasThenExactThenWithoutCase) {
  const std::vector<ArenaRating> ratings = {rating("gpt-4o", 1), rating("GPT-4O", 2),
                                            rating("Gemma", 3)};
  const std::vector<std::string> policies = {"gemma", "GPT-4O", "mine"};
  const auto matched = match_ratings(policies, ratings, {{"mine", "gpt-4o"}}, "r.json");
  ASSERT_EQ(matched.size(), 3u);
  EXPECT_EQ(matched[0].rating_elo, 3.0);
  EXPECT_EQ(matched[0].name, "gemma");
  EXPECT_EQ(matched[1].rating_elo, 2.0);
  EXPECT_EQ(matched[2].rating_elo, 1.0);
}

TEST(MatchRatings, WrongInput) {
  const std::vector<ArenaRating> ratings = {rating("gemma-2-9b-it", 1), rating("llama-3-8b", 2),
                                            rating("Llama-3-8B", 3)};
  const auto expect = [&](const std::string& policy, const Aliases& aliases, ErrorKind kind,
                          const std::string& part) {
    try {
      match_ratings(std::vector<std::string>{policy}, ratings, aliases, "r.json");
      FAIL() << "expected an error with: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_THAT(error.message(), HasSubstr(part));
    }
  };
  expect("gemma-2-9b", {}, ErrorKind::kInput,
         "no rating for policy 'gemma-2-9b'; nearest names: gemma-2-9b-it");
  expect("LLAMA-3-8b", {}, ErrorKind::kInput, "matches both 'llama-3-8b' and 'Llama-3-8B'");
  expect("a", {{"a", "gemma"}}, ErrorKind::kUsage, "under its alias 'gemma'");
}

TEST(MatchRatings, TwoPoliciesThatDifferInCaseCannotShareARating) {
  const std::vector<ArenaRating> ratings = {rating("gpt-4o", 1), rating("gemma", 3)};
  const std::vector<std::string> policies = {"gpt-4o", "GPT-4o"};
  try {
    match_ratings(policies, ratings, {}, "r.json");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(),
                HasSubstr("'gpt-4o' and 'GPT-4o' would both take the rating of 'gpt-4o'"));
  }
  // An alias allows it.
  const auto matched = match_ratings(policies, ratings, {{"GPT-4o", "gpt-4o"}}, "r.json");
  EXPECT_EQ(matched[1].rating_elo, 1.0);
}

TEST(ReadRatings, BrokenFilesOfOtherFormatsAreErrors) {
  const charm::testing::TempFolder folder;
  for (const char* content : {"PAR1...", "\x1f\x8b\x08"}) {
    const fs::path path = folder.file("ratings", content);
    EXPECT_ERROR(kInput, path.string(), read_ratings(path));
  }
}

TEST(RealRatings, AlpacaEvalArenaScores) {
  const fs::path path =
      fs::path(charm::test::kSourceDir) / "../shared/data/alpaca_eval/arena_scores.json";
  if (!fs::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto ratings = read_ratings(path);
  ASSERT_EQ(ratings.size(), 18u);
  EXPECT_EQ(ratings[0].name, "gpt-4o-mini-2024-07-18");
  EXPECT_EQ(ratings[0].rating_elo, 1272.04);
  EXPECT_EQ(ratings[0].rating_lo, 1268.95);
}

}  // namespace
}  // namespace charm::storage
