// Analyses of scores: rate, calibrate --holdout, explain and the report.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Conclusions : public SmallWorld {
 protected:
  std::vector<std::string> with_all(std::vector<std::string> arguments) const {
    arguments.emplace_back("--scores");
    return join({arguments, all_scores()});
  }
};

TEST_F(Conclusions, CalibrateReadsTheRatingsOfRate) {
  std::string battles;
  const std::vector<std::string> policies = {"scholar", "helper", "showman", "intern"};
  for (int i = 0; i < 120; ++i) {
    const std::string &a = policies[i % 4], &b = policies[(i / 4 + i + 1) % 4];
    if (a == b) continue;
    battles += json{{"model_a", a},
                    {"model_b", b},
                    {"winner", i % 3 == 0   ? "tie"
                               : i % 2 == 0 ? "model_a"
                                            : "model_b"}}
                   .dump() +
               "\n";
  }
  write_file(path("battles.jsonl"), battles);
  Outcome outcome = run_charm({"rate", "--battles", path("battles.jsonl"), "--output",
                               path("ratings.json"), "--anchor", "helper=1200"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("helper"));
  const json ratings = json::parse(read_file(path("ratings.json")));
  ASSERT_EQ(ratings.size(), 4u);
  for (const json& one : ratings) {
    EXPECT_TRUE(one["rating"].is_number());
    EXPECT_EQ(one["rating_ci95"].size(), 2u);
    if (one["name"] == "helper") {
      EXPECT_NEAR(one["rating"], 1200.0, 1e-9);
    }
  }
  score_all();
  outcome = run_charm({"calibrate", "--scores", path("scores/showman.parquet"),
                       path("scores/helper.parquet"), "--ratings", path("ratings.json"),
                       "--reference", "helper", "--output", path("c.json"), "--bootstrap", "20"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_failure({"rate", "--battles", path("battles.jsonl"), "--output", path("r.json"),
                  "--anchor", "helpr=1200"},
                 2, {"helpr", "helper"}, path("r.json"));
}

TEST_F(Conclusions, MeasureAndCalibrateHaveOneIntervalOfAMismatch) {
  score_all();
  const std::vector<std::string> settings = {
      "--ratings", path("world/ratings.json"), "--bootstrap", "40", "--seed", "7"};
  Outcome outcome = run_charm(join({with_all({"measure", "--output", path("m.json")}), settings}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  outcome = run_charm(join(
      {with_all({"calibrate", "--output", path("c.json"), "--reference", "helper"}), settings}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json measured = json::parse(read_file(path("m.json")));
  const json calibrated = json::parse(read_file(path("c.json")));
  std::size_t num_compared = 0;
  for (const json& pair : calibrated["pairs"]) {
    for (const json& other : measured["pairs"]) {
      if (other["policy"] != pair["policy"] || other["reference"] != pair["reference"]) continue;
      for (const char* name :
           {"win_rate_before_ci95", "mismatch_before_ci95", "target_win_rate_ci95"}) {
        ASSERT_TRUE(pair[name].is_array()) << name;
        EXPECT_EQ(pair[name], other[name]) << name << " of " << pair["policy"];
      }
      ++num_compared;
    }
  }
  EXPECT_GE(num_compared, 2u);
}

TEST_F(Conclusions, HoldoutExplainAndReport) {
  score_all();
  Outcome outcome =
      run_charm(with_all({"calibrate", "--ratings", path("world/ratings.json"), "--reference",
                          "helper", "--output", path("run/calibration/rm/all.json"), "--bootstrap",
                          "40", "--holdout", "0.4", "--min-prompts", "10", "--leave-one-out"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("held-out prompts"));
  EXPECT_THAT(outcome.out, HasSubstr("leave-one-out, showman"));
  const json calibration = json::parse(read_file(path("run/calibration/rm/all.json")));
  ASSERT_TRUE(calibration["held_out"].is_object());
  const int fitted = calibration["num_prompts"], held_out = calibration["held_out"]["num_prompts"];
  EXPECT_EQ(fitted + held_out, num_prompts_);
  EXPECT_EQ(calibration["left_out"].size(), 3u);

  outcome = run_charm(with_all({"explain", "--calibration", path("run/calibration/rm/all.json"),
                                "--output", path("run/explanation/rm/all.json"), "--bootstrap",
                                "40", "--min-prompts", "10", "--min-differing", "5"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("showman against helper"));
  EXPECT_THAT(outcome.out, HasSubstr("unexplained"));
  EXPECT_THAT(outcome.out, HasSubstr("style-offsets"));
  const json explanation = json::parse(read_file(path("run/explanation/rm/all.json")));
  EXPECT_EQ(explanation["pairs"].size(), 3u);
  const json& offsets = explanation["methods"][1];
  EXPECT_EQ(offsets["method"], "offsets");
  EXPECT_EQ(offsets["held_out"]["num_prompts"], held_out);
  EXPECT_NEAR(offsets["held_out"]["mean_abs_mismatch"],
              calibration["held_out"]["mean_abs_mismatch"]["after"].get<double>(), 1e-12);
  EXPECT_TRUE(fs::exists(path("run/explanation/rm/all.json.manifest.json")));

  outcome = run_charm({"report", "--run", path("run"), "--output", path("report.html")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string html = read_file(path("report.html"));
  EXPECT_THAT(html, HasSubstr("<section id=\"explanation\">"));
  EXPECT_THAT(html, HasSubstr("Post-hoc corrections"));
  EXPECT_THAT(html, HasSubstr("Leave-one-out over policies"));

  // Invalid combinations of options are rejected.
  expect_failure(with_all({"explain", "--calibration", path("run/calibration/rm/all.json"),
                           "--reference", "helper", "--output", path("x.json")}),
                 2, {"--reference and --calibration"}, path("x.json"));
  expect_failure(with_all({"explain", "--output", path("x.json")}), 2,
                 {"--reference", "--pairs all"}, path("x.json"));
  expect_failure(with_all({"explain", "--calibration", path("world/ratings.json"), "--output",
                           path("x.json")}),
                 3, {"ratings.json", "charm calibrate"}, path("x.json"));
}

TEST_F(Conclusions, AnAliasOfNobodyIsSaidOnce) {
  score_all();
  const std::string warning = "no policy is called 'nobody'";
  const auto count = [&warning](const std::string& text) {
    int found = 0;
    for (std::size_t at = text.find(warning); at != std::string::npos;
         at = text.find(warning, at + 1))
      ++found;
    return found;
  };
  const std::string ratings = path("world/ratings.json");
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"calibrate", "--reference", "helper", "--bootstrap", "20", "--holdout", "0.4",
            "--min-prompts", "10", "--leave-one-out"},
           {"measure", "--bootstrap", "20"},
           {"explain", "--pairs", "all", "--bootstrap", "20", "--min-differing", "5"},
           {"evaluate", "--benchmark", "arena", "--bootstrap", "20"}}) {
    const Outcome outcome =
        run_charm(with_all(join({command,
                                 {"--ratings", ratings, "--alias", "nobody=scholar", "--output",
                                  path(command.front() + ".json")}})));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(count(outcome.err), 1) << command.front() << ": " << outcome.err;
  }
}

TEST_F(Conclusions, PromptsInCommonAreCountedAndTheOthersNamed) {
  create_folders(path("some"));
  const auto write_rows = [this](const std::string& policy, std::size_t first, std::size_t last) {
    std::istringstream rows(read_file(responses(policy)));
    std::string kept, row;
    for (std::size_t i = 0; std::getline(rows, row); ++i) {
      if (i >= first && i < last) kept += row + "\n";
    }
    write_file(path("some/" + policy + ".jsonl"), kept);
  };
  write_rows("showman", 0, 52);
  write_rows("helper", 10, 60);
  Outcome outcome =
      run_charm({"score", "--model", path("rm"), "--dtype", "float32", "--output", path("scores"),
                 "--responses", path("some/showman.jsonl"), path("some/helper.jsonl")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<std::string> inputs = {"--scores", path("scores/showman.parquet"),
                                           path("scores/helper.parquet"), "--ratings",
                                           path("world/ratings.json")};
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"calibrate", "--reference", "helper"},
           {"measure"},
           {"explain", "--reference", "helper", "--min-differing", "5"}}) {
    outcome = run_charm(join(
        {command, inputs, {"--bootstrap", "20", "--output", path(command.front() + ".json")}}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("42 common prompts (18 of 60 are not common)"))
        << command.front();
  }
}

TEST_F(Conclusions, ShrinkIsOffByDefault) {
  score_all();
  const std::vector<std::string> base =
      with_all({"calibrate", "--ratings", path("world/ratings.json"), "--reference", "helper",
                "--bootstrap", "20", "--output"});
  std::vector<std::string> plain = base, shrunk = base;
  const auto place = std::find(base.begin(), base.end(), "--output") - base.begin() + 1;
  plain.insert(plain.begin() + place, path("plain.json"));
  shrunk.insert(shrunk.begin() + place, path("shrunk.json"));
  shrunk.emplace_back("--shrink");
  ASSERT_EQ(run_charm(plain).code, 0);
  ASSERT_EQ(run_charm(shrunk).code, 0);
  const json a = json::parse(read_file(path("plain.json"))),
             b = json::parse(read_file(path("shrunk.json")));
  EXPECT_TRUE(a["shrink"].is_null());
  EXPECT_TRUE(b["shrink"]["prior_sd"].is_number());
  EXPECT_EQ(b["policies"][0]["offset_unshrunk"], a["policies"][0]["offset"]);
}

}  // namespace
}  // namespace charm::e2e
