#include "charm/explain/explain_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/calibrate/calibration.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/explain/response_world.h"

namespace charm::explain {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class ExplainStageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.scores = {write({"fancy", 80.0, 2.0, 0.0}), write({"middle", 60.0, 1.0, 0.2}),
                       write({"plain", 40.0, 0.0, 0.0})};
    options_.output = folder_ / "explain.json";
    options_.settings.bootstrap = 40;
    options_.reference = "plain";
  }

  fs::path write(const PolicyTraits& traits, std::size_t num_prompts = 250, std::uint64_t seed = 1,
                 const std::string& folder = "scores") {
    std::string text;
    for (const WorldRow& row : make_responses(traits, num_prompts, seed)) {
      text += Json{{"prompt", row.prompt},
                   {"response", row.response},
                   {"policy", traits.name},
                   {"score", row.score}}
                  .dump() +
              "\n";
    }
    const fs::path path = folder_ / folder / (traits.name + ".jsonl");
    write_file(path, text);
    return path;
  }

  // Ratings under which all are worth about the same, so that what style adds is over-valuation.
  void calibrate(double holdout) {
    const fs::path ratings = folder_ / "ratings.json";
    write_file(ratings, R"([{"name": "fancy", "elo": 1200, "ci": [1195, 1205]},
                            {"name": "middle", "elo": 1210, "ci": [1205, 1215]},
                            {"name": "plain", "elo": 1190, "ci": [1185, 1195]}])");
    calibrate::CalibrateOptions calibrate;
    calibrate.scores = options_.scores;
    calibrate.ratings = ratings;
    calibrate.reference = "plain";
    calibrate.output = folder_ / "calibration.json";
    calibrate.solve.bootstrap = 40;
    calibrate.holdout = holdout;
    calibrate.min_prompts = 20;
    calibrate::calibrate(calibrate);
    options_.calibration = calibrate.output;
    options_.reference.clear();
    options_.min_prompts = 20;
  }

  Json result() { return Json::parse(read_file(options_.output)); }

  void expect_error(ErrorKind kind, const std::string& part) {
    EXPECT_TRUE(test::throws_error(kind, part, [&] { explain(options_); }));
    EXPECT_FALSE(fs::exists(options_.output));
  }

  const testing::TempFolder folder_;
  ExplainOptions options_;
};

TEST_F(ExplainStageTest, NeedsNeitherCalibrationNorRatings) {
  const Explanation explanation = explain(options_);
  const Json json = result();
  EXPECT_EQ(json["pairs"].size(), 2u);
  EXPECT_EQ(json["pairs"][0]["policy"], "fancy");
  EXPECT_EQ(json["pairs"][0]["reference"], "plain");
  EXPECT_TRUE(json["pairs"][0]["mismatch"].is_null());
  EXPECT_TRUE(json["pairs"][0]["offset"].is_null());
  EXPECT_TRUE(json["methods"].is_null());
  EXPECT_EQ(json["features"].size(), kNumFeatures);
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));
  EXPECT_THAT(explanation_text(explanation), HasSubstr("unexplained"));

  options_.pairs = ExplainPairs::kAll;
  options_.reference.clear();
  explain(options_);
  EXPECT_EQ(result()["pairs"].size(), 3u);
}

TEST_F(ExplainStageTest, SameBytesWhateverTheThreads) {
  calibrate(0.0);
  options_.settings.num_threads = 1;
  explain(options_);
  const std::string text = read_file(options_.output);
  options_.settings.num_threads = 3;
  explain(options_);
  EXPECT_EQ(read_file(options_.output), text);
}

TEST_F(ExplainStageTest, MethodsAgreeWithTheCalibrationAndStyleWorksHere) {
  calibrate(0.3);
  explain(options_);
  const Json json = result();
  const Json calibration = Json::parse(read_file(*options_.calibration));
  ASSERT_EQ(json["methods"].size(), 5u);
  const auto method = [&](const std::string& name) -> const Json& {
    for (const Json& one : json["methods"]) {
      if (one["method"] == name) return one;
    }
    throw Error(ErrorKind::kInternal, "no method {}", name);
  };
  const auto md = [&](const char* name, const char* where) {
    return method(name)[where]["mean_abs_mismatch"].get<double>();
  };
  // What calibrate says of its own offsets, on the fit's prompts and on the held-out ones.
  EXPECT_NEAR(md("none", "fit"), calibration["mean_abs_mismatch"]["before"], 1e-12);
  EXPECT_NEAR(md("offsets", "fit"), calibration["mean_abs_mismatch"]["after"], 1e-12);
  const Json& held_out = calibration["held_out"];
  EXPECT_EQ(method("none")["held_out"]["num_prompts"], held_out["num_prompts"]);
  EXPECT_NEAR(md("none", "held_out"), held_out["mean_abs_mismatch"]["before"], 1e-12);
  EXPECT_NEAR(md("offsets", "held_out"), held_out["mean_abs_mismatch"]["after"], 1e-12);
  // All that is over-valued here is style.
  EXPECT_LT(md("style", "held_out"), 0.6 * md("none", "held_out"));
  EXPECT_LT(md("style-offsets", "fit"), md("style", "fit"));
  EXPECT_TRUE(method("offsets")["reward_bench"].is_null());
  EXPECT_TRUE(method("none")["held_out"]["correlations"]["mean_score"]["spearman"].is_number());
  EXPECT_FALSE(json["pairs"][0]["style_matched"].is_null());
  EXPECT_TRUE(json["pairs"][0]["effects"][0].contains("share_of_offset"));
}

TEST_F(ExplainStageTest, OffsetsLeaveBenchmarksAlone) {
  calibrate(0.0);
  std::string rows;
  RandomStream stream(5, "benchmark");
  for (int i = 0; i < 60; ++i) {
    const std::string shorter(40 + stream.below(50), 'a'),
        longer = "# A\n# B\n" + std::string(400 + stream.below(200), 'b');
    // The reward model gives length and headers what they have in the world.
    const double gain = 1.2 * std::log(longer.size() / double(shorter.size())) + 1.0;
    rows += Json{{"id", std::to_string(i)},
                 {"subset", "alpacaeval-easy"},
                 {"prompt", "q" + std::to_string(i)},
                 {"chosen", shorter},
                 {"rejected", longer},
                 {"score_chosen", 1.0},
                 {"score_rejected", 0.6 + gain}}
                .dump() +
            "\n";
  }
  const fs::path saved = folder_ / "reward-bench.scores.jsonl";
  write_file(saved, rows);
  options_.reward_bench = {saved};
  explain(options_);
  for (const Json& method : result()["methods"]) {
    const std::string name = method["method"];
    if (name.find("offsets") != std::string::npos) {
      EXPECT_TRUE(method["reward_bench"].is_null()) << name;
      continue;
    }
    const double accuracy = method["reward_bench"]["overall_partial"];
    if (name == "none") {
      EXPECT_EQ(accuracy, 0.0);
    } else if (name == "style") {
      EXPECT_GT(accuracy, 0.9) << "without length and headers the chosen one is better";
    }
  }
}

TEST_F(ExplainStageTest, RefusesWhatCannotBe) {
  options_.reference.clear();
  expect_error(ErrorKind::kUsage, "no reference policy given");
  options_.reference = "plane";
  expect_error(ErrorKind::kUsage, "plain");
  options_.reference = "plain";
  options_.reward_bench = {folder_ / "x.jsonl"};
  expect_error(ErrorKind::kUsage, "needs --calibration");
  options_.reward_bench.clear();
  options_.min_prompts = 1000;
  expect_error(ErrorKind::kInput, "prompts in common");
  options_.min_prompts = 30;
  options_.scores.resize(1);
  expect_error(ErrorKind::kUsage, "plain");
}

TEST_F(ExplainStageTest, RefusesBrokenCalibrations) {
  calibrate(0.0);
  const Json good = Json::parse(read_file(*options_.calibration));
  options_.calibration = folder_ / "broken.json";
  const auto broken = [&](const auto& change, const std::string& part) {
    Json json = good;
    change(json);
    write_file(*options_.calibration, json.dump());
    expect_error(ErrorKind::kInput, part);
  };
  broken([](Json& json) { json = Json::array(); }, "as charm calibrate writes it");
  broken([](Json& json) { json.erase("policies"); }, "has no member 'policies'");
  broken([](Json& json) { json["mode"] = "sideways"; }, "sideways");
  broken([](Json& json) { json["policies"][0]["offset"] = "much"; }, "'offset' is \"much\"");
  broken([](Json& json) { json["reference"] = "somebody"; }, "somebody");
}

TEST_F(ExplainStageTest, SaysWhichPoliciesTheCalibrationLacks) {
  calibrate(0.0);
  options_.scores.push_back(write({"stranger", 50.0, 0.0, 0.0}));
  const Explanation explanation = explain(options_);
  EXPECT_EQ(explanation.pairs.size(), 2u);
  EXPECT_THAT(explanation.warnings, ::testing::Contains(HasSubstr("dropped: stranger")));
}

}  // namespace
}  // namespace charm::explain
