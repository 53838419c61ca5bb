#include "charm/report/run_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "charm/report/report_stage.h"
#include "charm/report/sections.h"
#include "charm/results/fields.h"
#include "tests/support/expect_error.h"
#include "tests/unit/report/made_up_run.h"

namespace charm::report {
namespace {

class ReadRun : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_read_run_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ReadRun, TakesEveryKindOfFile) {
  write_made_up_run(folder_);
  const RunData run = read_run(folder_);
  ASSERT_EQ(run.mismatches.size(), 2u);
  EXPECT_EQ(run.mismatches[0].pairs.size(), 6u);
  EXPECT_DOUBLE_EQ(run.mismatch_of("rm-duo")->pairs[2].before.mismatch.value, 0.05);
  ASSERT_EQ(run.calibrations.size(), 1u);
  EXPECT_EQ(run.calibrations[0].retrained_model(), "rm-duo");
  EXPECT_EQ(run.calibrations[0].policies[1].offset.ci95->lo, -1.0);
  ASSERT_TRUE(run.calibrations[0].held_out);
  EXPECT_EQ(run.calibrations[0].held_out->num_prompts, 79);
  EXPECT_EQ(run.calibrations[0].held_out->mean->after, 0.07);
  EXPECT_EQ(run.calibrations[0].held_out->pairs.at(0).after->mismatch.value, 0.043);
  EXPECT_EQ(run.calibrations[0].warnings,
            std::vector<std::string>{"scores of 'plain' were dropped"});
  ASSERT_EQ(run.scores.size(), 2u);
  EXPECT_EQ(run.scores[0].policies[0].num_scores, 59);
  EXPECT_EQ(run.scores[0].policies[0].num_errors, 1);
  ASSERT_EQ(run.trainings.size(), 1u);
  EXPECT_EQ(run.trainings[0].points.size(), 24u);
  EXPECT_TRUE(run.trainings[0].points[0].is_held_out);
  EXPECT_EQ(run.evaluations.size(), 4u);
  ASSERT_EQ(run.manifests.size(), 1u);
  EXPECT_EQ(run.manifests[0].path, "models/rm/duo/manifest.json");
  EXPECT_EQ(run.ratings.at("solid"), 1250);
}

TEST(RunData, RatingsOfVotesAloneAreNoArenaRatings) {
  RunData run;
  CalibrationFile file;
  file.policies.resize(1);
  file.policies[0].policy = "a";
  file.policies[0].rating.rating_elo = 1012;
  file.votes.emplace();
  run.take_ratings(file);
  EXPECT_TRUE(run.ratings.empty());
  file.votes->has_rating_prior = true;
  run.take_ratings(file);
  EXPECT_EQ(run.ratings.at("a"), 1012);
}

TEST_F(ReadRun, WhatAnEarlierFormOfTheRecipeLeftIsNamedAndNotShown) {
  write_made_up_run(folder_);
  write_file(folder_ / kEarlierResults,
             R"({"outputs": ["mismatch/rm-duo.json", "scores/rm/policy2.parquet",
                 "models/rm/duo", "eval/rm/rm-bench.json"]})");
  const RunData run = read_run(folder_);
  EXPECT_EQ(run.mismatches.size(), 1u);
  EXPECT_EQ(run.scores_of("rm")->policies.size(), 2u);
  EXPECT_TRUE(run.trainings.empty());
  EXPECT_EQ(run.evaluations.size(), 3u);
  EXPECT_THAT(provenance_section(run).html,
              testing::HasSubstr("Left by an earlier form of the recipe, and not shown here: "
                                 "eval/rm/rm-bench.json, "));
  EXPECT_TRUE(run.manifests.empty()) << "of models/rm/duo";
}

TEST_F(ReadRun, ResultsOfCommandsRunOneByOneAreTakenByTheirContent) {
  write_made_up_run(folder_ / "run");
  const fs::path flat = folder_ / "flat";
  fs::create_directories(flat);
  fs::copy(folder_ / "run/mismatch/rm.json", flat / "before.json");
  fs::copy(folder_ / "run/calibration/rm/duo.json", flat / "calibration.json");
  fs::copy(folder_ / "run/eval/rm/rm-bench.json", flat / "bench.json");
  fs::copy(folder_ / "run/models/rm/duo", flat / "trained");
  write_file(flat / "other.json", "[1]");
  write_file(flat / "ratings.json", R"({"solid": 1250})");
  const RunData run = read_run(flat);
  ASSERT_EQ(run.mismatches.size(), 1u);
  EXPECT_EQ(run.mismatches[0].pairs.size(), 6u);
  ASSERT_EQ(run.calibrations.size(), 1u);
  EXPECT_EQ(run.calibrations[0].set, "calibration");
  EXPECT_EQ(run.evaluations.size(), 1u);
  ASSERT_EQ(run.trainings.size(), 1u);
  EXPECT_EQ(run.trainings[0].set, "trained");
  EXPECT_EQ(run.ratings.at("solid"), 1250);
}

/// What the commands of README.md leave: two measures of the model, one after training, benchmarks
/// in before/ and after/, the trained model, and eval/ of something else.
TEST_F(ReadRun, AFolderOfTheReadmesLayoutIsReadWhole) {
  write_made_up_run(folder_ / "run");
  const fs::path flat = folder_ / "flat";
  const auto input = [](const char* path) {
    return nlohmann::ordered_json::array({{{"path", path}, {"sha256", ""}}});
  };
  const auto copy = [&](const char* from, const char* to, const char* scores,
                        const char* prompts = "") {
    nlohmann::ordered_json json = results::read_json(folder_ / "run" / from, "test");
    json["inputs"] = input(scores);
    if (*prompts != '\0') json["prompts"] = prompts;
    write_file(flat / to, json.dump());
  };
  for (const char* folder : {"scores", "scores-after"}) {
    std::vector<ScoredResponse> rows(3);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].response = {.prompt_id = std::to_string(i), .prompt = {{"user", "q"}}};
      rows[i].response.policy = "showman";
    }
    const storage::Provenance provenance = {{"program", "charm"}, {"pooling", "auto"}};
    storage::write_scores(flat / folder / "showman.parquet", rows, provenance);
    const bool after = std::string_view(folder) == "scores-after";
    const nlohmann::ordered_json manifest = {
        {"outputs", {{{"inputs", {"showman.jsonl", after ? "my-rm-charm" : "my-rm"}}}}}};
    write_file(flat / ".charm" / folder / "manifest.json", manifest.dump());
  }
  copy("mismatch/rm.json", "mismatch.json", "scores/showman.parquet");
  copy("mismatch/rm.json", "held-out.json", "scores/showman.parquet",
       "held out (share 0.3, seed 0)");
  copy("mismatch/rm-duo.json", "held-out-after.json", "scores-after/showman.parquet",
       "held out (share 0.3, seed 0)");
  copy("calibration/rm/duo.json", "calibration.json", "scores/showman.parquet");
  for (const auto& [folder, model] : {std::pair("before", "my-rm"), {"after", "my-rm-charm"}}) {
    nlohmann::ordered_json json = results::read_json(folder_ / "run/eval/rm/rm-bench.json", "test");
    json["model"] = model;
    write_file(flat / folder / "rm-bench.json", json.dump());
  }
  fs::create_directories(flat / "eval/other");
  fs::copy(folder_ / "run/eval/rm/rm-bench.json", flat / "eval/other/rm-bench.json");
  fs::copy(folder_ / "run/models/rm/duo", flat / "my-rm-charm");
  nlohmann::ordered_json trained = {{"command", "train"}, {"inputs", input("../my-rm")}};
  trained["inputs"].push_back({{"path", "preferences.parquet"}});
  write_file(flat / "my-rm-charm/manifest.json", trained.dump());
  write_file(flat / "my-rm-charm/config.json", "{}");
  write_file(flat / ".charm/preferences.parquet.manifest.json",
             nlohmann::ordered_json({{"inputs", input("calibration.json")}}).dump());

  const RunData run = read_run(flat);
  ASSERT_EQ(run.mismatches.size(), 3u);
  EXPECT_EQ(run.mismatch_of("my-rm")->prompts, "held out (share 0.3, seed 0)");
  ASSERT_NE(run.mismatch_of("my-rm-charm"), nullptr);
  EXPECT_TRUE(run.split_models.contains("my-rm")) << "before and after are on held-out prompts";
  ASSERT_EQ(run.calibrations.size(), 1u);
  EXPECT_EQ(run.calibrations[0].model, "my-rm");
  EXPECT_EQ(run.calibrations[0].retrained_model(), "my-rm-charm");
  std::vector<std::string> evaluated;
  for (const EvaluationFile& file : run.evaluations) {
    EXPECT_EQ(file.benchmark, "rm-bench");
    evaluated.push_back(file.model);
  }
  EXPECT_THAT(evaluated, testing::UnorderedElementsAre("my-rm", "my-rm-charm", "other"));
  ASSERT_EQ(run.trainings.size(), 1u);
  EXPECT_EQ(run.trainings[0].model, "my-rm");
  EXPECT_EQ(run.trainings[0].set, "calibration");
  EXPECT_EQ(run.scores.size(), 2u);
}

/// `name` with the evaluation of `model`, and compare.json of `a` and `b`, as charm writes them.
class ReadEvaluations : public ReadRun {
 protected:
  void evaluate(const std::string& name, const std::string& model) const {
    write_file(folder_ / name,
               nlohmann::ordered_json(
                   {{"benchmark", "rm-bench"}, {"model", model}, {"overall_partial", 0.6}})
                   .dump());
  }
  void compare(const std::string& a, const std::string& b) const {
    const auto run = [](const std::string& path) {
      return nlohmann::ordered_json({{"name", "rm-2"}, {"run", path}});
    };
    write_file(
        folder_ / "compare.json",
        nlohmann::ordered_json({{"benchmark", "rm-bench"},
                                {"a", run(a)},
                                {"b", run(b)},
                                {"overall_partial", {{"a", 0.6}, {"b", 0.7}, {"difference", 0.1}}}})
            .dump());
  }
  /// The names of the evaluations' sections, by "model: name".
  static std::vector<std::string> sections(const RunData& run) {
    std::vector<std::string> names;
    for (const EvaluationFile& file : run.evaluations)
      names.push_back(file.model + ": " + file.benchmark);
    return names;
  }
  std::string compared() const { return read_run(folder_).comparisons.at(0).benchmark; }
};

TEST_F(ReadEvaluations, BeforeAndAfterAreOneBenchmark) {
  evaluate("before.json", "rm");
  evaluate("after.json", "rm-2");
  compare("before.json", "after.json");
  EXPECT_THAT(sections(read_run(folder_)),
              testing::UnorderedElementsAre("rm: rm-bench", "rm-2: rm-bench"));
  EXPECT_EQ(compared(), "rm-bench");
  // A recipe gives it a name of its own.
  evaluate("eval/other/style.json", "other");
  EXPECT_THAT(sections(read_run(folder_)),
              testing::UnorderedElementsAre("rm: style", "rm-2: style", "other: style"));
  EXPECT_EQ(compared(), "style");
}

TEST_F(ReadEvaluations, AComparisonBelongsToTheFileItNames) {
  evaluate("eval/rm/rm-bench.json", "rm");
  evaluate("eval/rm-2/rm-bench.json", "rm-2");
  evaluate("after.json", "rm-2");
  evaluate("z.json", "rm-2");
  EXPECT_THAT(
      sections(read_run(folder_)),
      testing::UnorderedElementsAre("rm: rm-bench", "rm-2: rm-bench", "rm-2: after", "rm-2: z"))
      << "of one model with several results of one kind the files' names tell them apart";
  compare("eval/rm/rm-bench.json", "eval/rm-2/rm-bench.json");
  EXPECT_EQ(compared(), "rm-bench");
  compare("eval/rm/rm-bench.json", "elsewhere/after.json");
  EXPECT_EQ(compared(), "after");
  compare("b.scores.parquet", "/moved/from/z.scores.parquet");
  EXPECT_EQ(compared(), "z") << "saved scores stand for their result";
  compare("b.json", "gone.json");
  EXPECT_EQ(compared(), "rm-bench") << "the first of the model";
}

TEST_F(ReadEvaluations, AComparisonOfTwoResultsOfOneModelIsItsFiles) {
  evaluate("a/rm-bench.json", "rm");
  evaluate("b/rm-bench.json", "rm");
  evaluate("c/rm-bench.json", "rm");
  for (const char* folder : {"a", "b", "c"}) {
    compare("x/rm-bench.json", std::string("run/") + folder + "/rm-bench.json");
    EXPECT_EQ(compared(),
              std::string(folder) == "a" ? "rm-bench" : std::string(folder) + "/rm-bench");
  }
}

TEST_F(ReadRun, AnEmptyDirectoryIsEmptyAndAMissingOneAnError) {
  EXPECT_TRUE(read_run(folder_).empty());
  EXPECT_ERROR(kIo, "no such folder", read_run(folder_ / "none"));
}

TEST_F(ReadRun, ABrokenFileIsNamed) {
  write_file(folder_ / "mismatch" / "rm.json", "{");
  try {
    read_run(folder_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), testing::HasSubstr("rm.json"));
  }
}

}  // namespace
}  // namespace charm::report
