#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/storage/ratings.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using ::testing::ElementsAre;

class BattleReaderTest : public ::testing::Test {
 protected:
  std::vector<Battle> read(std::string_view text, const BattleOptions& options = {},
                           const std::string& name = "battles.jsonl") {
    write_file(folder_ / name, text);
    std::vector<Battle> battles;
    counts_ = for_each_battle(folder_ / name, {}, options,
                              [&](Battle&& battle) { battles.push_back(std::move(battle)); });
    return battles;
  }

  std::vector<double> outcomes(std::string_view text, const BattleOptions& options = {}) {
    std::vector<double> values;
    for (const Battle& battle : read(text, options)) values.push_back(battle.outcome);
    return values;
  }

  const testing::TempFolder folder_;
  BattleCounts counts_;
};

TEST_F(BattleReaderTest, SpellingsOfWinners) {
  const std::string rows = R"rows({"model_a":"a","model_b":"b","winner":"model_a"}
{"model_a":"a","model_b":"b","winner":"model_b"}
{"model_a":"a","model_b":"b","winner":"tie"}
{"model_a":"a","model_b":"b","winner":"tie (bothbad)"}
{"model_a":"a","model_b":"b","winner":"both_bad"}
{"model_a":"a","model_b":"b","is_tie":true}
{"model_a":"a","model_b":"b","winner":"model_a","is_tie":false}
)rows";
  EXPECT_THAT(outcomes(rows), ElementsAre(1.0, 0.0, 0.5, 0.5, 0.5, 0.5, 1.0));
  EXPECT_ERROR(kInput, "winner is \"A\"", read(R"({"model_a":"a","model_b":"b","winner":"A"})"));
  EXPECT_ERROR(kInput, "although is_tie is true",
               read(R"({"model_a":"a","model_b":"b","winner":"model_a","is_tie":true})"));
}

// lmsys-arena-human-preference-55k: winners in three columns, texts as JSON lists.
TEST_F(BattleReaderTest, KagglesTable) {
  const std::string table =
      "id,model_a,model_b,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n"
      "1,a,7,\"[\"\"q\"\",\"\"r\"\"]\",\"[\"\"# x\"\",\"\"- y\"\"]\",\"[null,\"\"z\"\"]\",1,0,0\n"
      "2,a,7,\"[\"\"q\"\"]\",\"[\"\"x\"\"]\",\"[\"\"y\"\"]\",0,0,1\n";
  const auto battles = read(table, {.with_styles = true}, "train.csv");
  ASSERT_EQ(battles.size(), 2u);
  EXPECT_EQ(battles[0].model_b, "7");
  EXPECT_EQ(battles[0].outcome, 1.0);
  EXPECT_EQ(battles[0].text_a, "# x\n- y");
  EXPECT_EQ(battles[0].text_b, "\nz");
  EXPECT_EQ(battles[1].outcome, 0.5);
  EXPECT_ERROR(kInput, "0 of winner_model_a",
               read(R"({"model_a":"a","model_b":"b","winner_model_a":0,"winner_model_b":0})"));
  EXPECT_ERROR(kInput, "'winner_model_a' is 0.4",
               read(R"({"model_a":"a","model_b":"b","winner_model_a":0.4})"));
}

TEST_F(BattleReaderTest, TextsOfThePublishedSets) {
  const auto battles = read(
      R"({"model_a":"a","model_b":"b","winner":"tie","prompt":"list!","response_1":"[1]","response_2":"y"}
{"model_a":"a","model_b":"b","winner":"tie","conversation_a":"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]","conversation_b":[{"role":"assistant","content":"y"}]}
)",
      {.with_styles = true});
  ASSERT_EQ(battles.size(), 2u);
  EXPECT_EQ(battles[0].text_a, "[1]");
  EXPECT_EQ(battles[0].text_b, "y");
  EXPECT_EQ(battles[1].text_a, "x");
  EXPECT_EQ(battles[1].text_b, "y");
}

// arena-hard-auto, show_result.py: the second game swaps sides, A>>B counts three times.
TEST_F(BattleReaderTest, VerdictsOfArenaHard) {
  const auto battles = read(
      R"({"uid":"1","model":"m","baseline":"base","games":[{"score":"A>B"},{"score":"A>>B"}]}
{"uid":"2","model":"m","baseline":"base","games":[{"score":"B=A"},{"score":"B>A"}]}
{"uid":"3","model":"m","baseline":"base","games":[{"score":null},{"score":"B>A"}]}
)");
  ASSERT_EQ(battles.size(), 6u);
  EXPECT_EQ(battles[0].model_a, "base");
  EXPECT_EQ(battles[0].outcome, 1.0);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(battles[i].model_a, "m");
    EXPECT_EQ(battles[i].outcome, 1.0);
  }
  EXPECT_EQ(battles[4].outcome, 0.5);
  EXPECT_EQ(battles[5].outcome, 0.0);
  EXPECT_EQ(counts_.num_rows, 3);
  EXPECT_EQ(counts_.num_unjudged, 1);
  const std::string old = R"({"model":"m","games":[{"score":"A=B"},{"score":"A=B"}]})";
  EXPECT_ERROR(kInput, "--baseline", read(old));
  EXPECT_EQ(read(old, {.baseline = "gpt-4-0314"}).at(0).model_a, "gpt-4-0314");
  EXPECT_ERROR(kInput, "the verdict is \"A>>>B\"",
               read(R"({"model":"m","baseline":"b","games":[{"score":"A>>>B"},{"score":"A=B"}]})"));
}

TEST_F(BattleReaderTest, CategoryTagsSelectRows) {
  const std::string rows =
      R"({"model_a":"a","model_b":"b","winner":"model_a","is_code":true,"language":"en","category_tag":{"math_v0.1":{"math":true},"if_v0.1":{"if":false}}}
{"model_a":"a","model_b":"b","winner":"model_b","is_code":false,"language":"de","category_tag":{"math_v0.1":{"math":false},"if_v0.1":{"if":false}}}
{"model_a":"a","model_b":"b","winner":"tie","is_code":false,"language":"en","category_tag":null}
)";
  EXPECT_THAT(outcomes(rows, {.category_tag = "is_code"}), ElementsAre(1.0));
  EXPECT_THAT(outcomes(rows, {.category_tag = "math_v0.1.math"}), ElementsAre(1.0));
  EXPECT_EQ(counts_.num_untagged, 2);
  EXPECT_THAT(outcomes(rows, {.category_tag = "category_tag.math_v0.1.math"}), ElementsAre(1.0));
  EXPECT_THAT(outcomes(rows, {.category_tag = "language=en"}), ElementsAre(1.0, 0.5));
  EXPECT_THAT(outcomes(rows, {.category_tag = "if_v0.1.if"}), ElementsAre());
  EXPECT_ERROR(kUsage, "category_tag.math_v0.1.math", read(rows, {.category_tag = "maths"}));
  EXPECT_ERROR(kInput, "'language' is \"en\", expected true or false",
               read(rows, {.category_tag = "language"}));
  EXPECT_THAT(outcomes(R"({"model_a":"a","model_b":"b","winner":"tie","tags":["x","y"]})",
                       {.category_tag = "tags=y"}),
              ElementsAre(0.5));
}

TEST_F(BattleReaderTest, CsvOfPandasHasFlagsAsWords) {
  const auto battles = read(
      "model_a,model_b,winner,anony\n"
      "x,y,model_a,True\n"
      "x,y,model_b,False\n",
      {}, "battles.csv");
  EXPECT_EQ(battles.size(), 1u);
  EXPECT_EQ(counts_.num_named, 1);
}

}  // namespace
}  // namespace charm::storage
