#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/measure/measure_stage.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::measure {
namespace {

using Json = nlohmann::ordered_json;

const fs::path kVotesGolden = fs::path(charm::test::kSourceDir) / "tests/data/golden/votes";

class MeasureVotes : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.votes = {kVotesGolden / "votes.jsonl"};
    options_.output = folder_ / "mismatch.json";
    options_.ties = results::TieRule::kHalf;
    options_.bootstrap = 50;
  }

  const testing::TempFolder folder_;
  MeasureOptions options_;
};

TEST_F(MeasureVotes, EqualCountingByPandas) {
  const Json golden = Json::parse(read_file(kVotesGolden / "expected.json"))["measured"];
  const results::Mismatch mismatch = measure(options_);
  ASSERT_EQ(mismatch.pairs.size(), golden["pairs"].size());
  for (const results::Pair& pair : mismatch.pairs) {
    const Json& expected = golden["pairs"][pair.policy + "/" + pair.reference];
    EXPECT_EQ(pair.num_rows, expected[0]);
    const double people = expected[1], model = expected[2];
    EXPECT_NEAR(pair.target.value, people, 1e-12);
    EXPECT_NEAR(pair.before.win_rate.value, model, 1e-12);
    EXPECT_NEAR(pair.before.mismatch.value, (model - people) / std::max(people, 1 - people), 1e-12);
    EXPECT_TRUE(pair.target.ci95 && pair.before.mismatch.ci95 && pair.agreement->ci95);
  }
  ASSERT_TRUE(mismatch.votes);
  EXPECT_NEAR(mismatch.votes->accuracy.value, golden["accuracy"].get<double>(), 1e-12);
  EXPECT_EQ(mismatch.votes->num_votes, 700);
}

TEST_F(MeasureVotes, IsReadBackWithEveryMember) {
  measure(options_);
  const Json written = Json::parse(read_file(options_.output));
  const results::Mismatch read = results::read_mismatch(options_.output);
  EXPECT_EQ(results::to_json(read, written["inputs"]), written);
}

TEST_F(MeasureVotes, RefusesWhatItCannotUse) {
  options_.min_prompts = 1000;
  EXPECT_ERROR(kInput, "the votes are on 90 prompts; expected at least 1000", measure(options_));
  options_.ratings = kVotesGolden / "ratings.json";
  EXPECT_ERROR(kUsage, "--ratings has no meaning with --votes", measure(options_));
  options_.votes.clear();
  EXPECT_ERROR(kUsage, "give --scores with --ratings, or --votes", measure(options_));
}

}  // namespace
}  // namespace charm::measure
