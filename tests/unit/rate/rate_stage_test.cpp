#include "charm/rate/rate_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/storage/ratings.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::rate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const fs::path kGolden = fs::path(charm::test::kSourceDir) / "tests/data/golden/rate";

// The promise is 0.001 Elo points; both sides solve to rounding.
constexpr double kEloTolerance = 1e-4;

class RateStageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.battles = {kGolden / "battles.jsonl.gz"};
    options_.output = folder_ / "ratings.json";
  }

  void expect_golden(const std::string& name) {
    const Json golden = Json::parse(read_file(kGolden / "ratings.json")).at(name);
    std::map<std::string, ModelRating> ours;
    const Ratings ratings = rate(options_);
    for (const ModelRating& model : ratings.models) ours[model.model] = model;
    ASSERT_EQ(ours.size(), golden.at("models").size());
    for (std::size_t m = 0; m < ours.size(); ++m) {
      const ModelRating& model = ours.at(golden["models"][m]);
      EXPECT_NEAR(model.rating_elo, golden["rating"][m].get<double>(), kEloTolerance);
      if (!golden.contains("lo")) continue;
      EXPECT_NEAR(model.rating_ci95.lo, golden["lo"][m].get<double>(), kEloTolerance);
      EXPECT_NEAR(model.rating_ci95.hi, golden["hi"][m].get<double>(), kEloTolerance);
    }
    if (!golden.contains("coefficients")) return;
    for (std::size_t f = 0; f < kNumStyles; ++f) {
      EXPECT_NEAR(ratings.styles.at(f).value, golden["coefficients"][f].get<double>(), 1e-7);
    }
  }

  fs::path write_battles(const std::vector<std::array<const char*, 3>>& rows) {
    std::string text;
    for (const auto& [a, b, winner] : rows) {
      text += Json{{"model_a", a}, {"model_b", b}, {"winner", winner}}.dump() + "\n";
    }
    const fs::path path = folder_ / "battles.jsonl";
    write_file(path, text);
    return path;
  }

  void expect_error(const std::vector<std::array<const char*, 3>>& rows, ErrorKind kind,
                    const ::testing::Matcher<std::string>& message) {
    options_.battles = {write_battles(rows)};
    try {
      rate(options_);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.message(), message);
    }
    EXPECT_FALSE(fs::exists(options_.output));
  }

  const testing::TempFolder folder_;
  RateOptions options_;
};

TEST_F(RateStageTest, EqualsArenaRank) { expect_golden("plain"); }

TEST_F(RateStageTest, EqualsArenaRankWithStyles) {
  options_.style = StyleControl::kArenaRank;
  expect_golden("arena-rank");
}

TEST_F(RateStageTest, EqualsFastChatsStyleControl) {
  options_.style = StyleControl::kFastChat;
  expect_golden("fastchat");
}

TEST_F(RateStageTest, OutputReadsBackAsRatings) {
  options_.anchor = {{"ash", "1114"}};
  options_.bootstrap = 20;
  const Ratings ratings = rate(options_);
  const auto known = storage::read_ratings(options_.output);
  ASSERT_EQ(known.size(), ratings.models.size());
  double last = 1e9;
  for (std::size_t m = 0; m < known.size(); ++m) {
    EXPECT_EQ(known[m].name, ratings.models[m].model);
    EXPECT_EQ(known[m].rating_elo, ratings.models[m].rating_elo);
    EXPECT_EQ(*known[m].rating_lo, ratings.models[m].rating_ci95.lo);
    EXPECT_LE(known[m].rating_elo, last);
    last = known[m].rating_elo;
    if (known[m].name != "ash") continue;
    EXPECT_NEAR(known[m].rating_elo, 1114.0, 1e-9);
  }
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));
}

TEST_F(RateStageTest, CountsStylesOfTextsWhereTheFileDoesNot) {
  std::string text;
  for (int i = 0; i < 40; ++i) {
    const bool flat = i % 3 == 0;
    text +=
        Json{{"model_a", i % 2 == 0 ? "x" : "y"},
             {"model_b", i % 2 == 0 ? "y" : "x"},
             {"winner", i % 5 < 2 ? "model_a" : "model_b"},
             {"conversation_a",
              {{{"role", "user"}, {"content", "q"}},
               {{"role", "assistant"}, {"content", flat ? "short" : "# long\n- and\n- listed"}}}},
             {"response_b", "an answer **in bold**"}}
            .dump() +
        "\n";
  }
  const fs::path path = folder_ / "texts.jsonl";
  write_file(path, text);
  options_.battles = {path};
  options_.style = StyleControl::kFastChat;
  const Ratings ratings = rate(options_);
  ASSERT_EQ(ratings.styles.size(), kNumStyles);
  EXPECT_NE(ratings.styles[0].value, 0.0);
  const Json manifest = Json::parse(read_file(options_.output.string() + ".manifest.json"));
  EXPECT_EQ(manifest.at("styles").size(), kNumStyles);
}

constexpr std::string_view kVotes =
    R"({"model_a":"a","model_b":"b","winner":"model_a","anony":true,"dedup_tag":{"sampled":true}}
{"model_a":"a","model_b":"b","winner":"model_b","anony":true,"dedup_tag":{"sampled":true}}
{"model_a":"a","model_b":"b","winner":"model_b","anony":true,"dedup_tag":{"sampled":false}}
{"model_a":"a","model_b":"b","winner":"nobody","anony":false,"dedup_tag":{"sampled":true}}
{"model_a":"a","model_b":"b","winner":"model_b","anony":false,"dedup_tag":{}}
)";

// FastChat's published analysis of the Arena's votes drops both.
TEST_F(RateStageTest, NamedVotesAndDuplicatesAreLeftOut) {
  const fs::path path = folder_ / "clean_battle.jsonl";
  write_file(path, kVotes);
  options_.battles = {path};
  EXPECT_EQ(rate(options_).models.at(0).num_battles, 2);
  const Json rows = Json::parse(read_file(options_.output.string() + ".manifest.json")).at("rows");
  EXPECT_EQ(rows.at("num_rows"), 5);
  EXPECT_EQ(rows.at("num_named"), 2);
  EXPECT_EQ(rows.at("num_duplicates"), 1);
  EXPECT_EQ(rows.at("num_battles"), 2);
  options_.keep_duplicates = true;
  EXPECT_EQ(rate(options_).models.at(0).num_battles, 3);
  options_.keep_named = true;
  EXPECT_ERROR(kInput, "winner is \"nobody\"", rate(options_));
  options_.read.max_bad_rows = 1;
  EXPECT_EQ(rate(options_).models.at(0).num_battles, 4);
  write_file(path, R"({"model_a":"a","model_b":"b","winner":"model_a","anony":false})");
  options_ = {.battles = {path}, .output = options_.output};
  EXPECT_ERROR(kInput, "1 not anonymous (--keep-named)", rate(options_));
}

TEST_F(RateStageTest, BadBattlesAreNamed) {
  const std::array<const char*, 3> ab = {"a", "b", "model_a"};
  const std::array<const char*, 3> ba = {"a", "b", "model_b"};
  expect_error({ab, {"a", "b", "nobody"}}, ErrorKind::kInput,
               AllOf(HasSubstr("battles.jsonl:2"), HasSubstr("winner is \"nobody\""),
                     HasSubstr("tie (bothbad)")));
  expect_error({ab, {"a", "a", "tie"}}, ErrorKind::kInput,
               HasSubstr("model_a and model_b are both 'a'"));
  expect_error({ab, {"", "a", "tie"}}, ErrorKind::kInput, HasSubstr("expected a model name"));
  expect_error({ab, ba, {"A", "b", "tie"}}, ErrorKind::kInput,
               AllOf(HasSubstr("'a'"), HasSubstr("'A'"), HasSubstr("case")));
  expect_error({ab, ba, {"c", "d", "tie"}}, ErrorKind::kInput,
               AllOf(HasSubstr("2 disconnected components"), HasSubstr("'c', 'd'")));
  expect_error({ab, ba, {"c", "a", "model_b"}}, ErrorKind::kInput,
               AllOf(HasSubstr("'c' is infinite: lost every battle"), HasSubstr("--min-battles"),
                     HasSubstr("--prior-sd")));
  options_.min_battles = 5;
  expect_error({ab, ba}, ErrorKind::kInput, HasSubstr("no battles remain"));
  options_.min_battles = 0;
  options_.anchor = {{"bb", "1000"}};
  expect_error({ab, ba}, ErrorKind::kUsage, HasSubstr("no model 'bb' in the battles"));
  options_.anchor = {{"b", "many"}};
  expect_error({ab, ba}, ErrorKind::kUsage, HasSubstr("no number of Elo points"));
  options_.anchor = {};
  options_.style = StyleControl::kFastChat;
  expect_error({ab, ba}, ErrorKind::kInput, HasSubstr("styles need conv_metadata"));
}

TEST_F(RateStageTest, ABaselineThatNoRowNeedsIsRefused) {
  options_.baseline = "gpt-4-0314";
  EXPECT_ERROR(kUsage, "--baseline gpt-4-0314: no row is a judgment of arena-hard", rate(options_));
  const fs::path path = folder_ / "judged.jsonl";
  write_file(path, R"({"model":"m","baseline":"b","games":[{"score":"A>B"},{"score":"A=B"}]})");
  options_.battles = {path};
  EXPECT_ERROR(kUsage, "leave the option out", rate(options_));
}

TEST_F(RateStageTest, NumbersAreNoWinners) {
  const fs::path path = folder_ / "codes.jsonl";
  write_file(path, R"({"model_a":"m","model_b":"b","winner":1})");
  options_.battles = {path};
  EXPECT_ERROR(kInput,
               "winner is 1, expected model_a, model_b, tie, tie (bothbad) or both_bad; write "
               "the name that the number stands for",
               rate(options_));
}

TEST_F(RateStageTest, RareModelsCanBeDropped) {
  options_.battles = {write_battles(
      {{"a", "b", "model_a"}, {"a", "b", "model_b"}, {"b", "a", "tie"}, {"c", "a", "model_b"}})};
  options_.min_battles = 2;
  const Ratings ratings = rate(options_);
  EXPECT_EQ(ratings.models.size(), 2u);
  ASSERT_EQ(ratings.warnings.size(), 1u);
  EXPECT_THAT(ratings.warnings[0], HasSubstr("are dropped: c"));
}

}  // namespace
}  // namespace charm::rate
