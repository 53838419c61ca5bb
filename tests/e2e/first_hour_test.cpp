// What a new user meets first: a recipe from a folder, its check, the texts behind a number, model
// paths that are none.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FirstHour : public SmallWorld {
 protected:
  FirstHour() { num_prompts_ = 160; }

  /// A recipe that init writes for the small world, in the world's folder.
  std::string write_recipe() {
    const Outcome outcome = run_charm(
        {"init", path("world/responses"), "--output", path("mine.yaml"), "--model", path("rm")});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return path("mine.yaml");
  }

  void replace(const std::string& file, const std::string& from, const std::string& to) {
    std::string text = read_file(file);
    ASSERT_NE(text.find(from), std::string::npos) << from << " in " << text;
    text.replace(text.find(from), from.size(), to);
    write_file(file, text);
  }
};

TEST_F(FirstHour, InitFindsRatingsAndModels) {
  const Outcome outcome =
      run_charm({"init", path("world/responses"), "--output", path("mine.yaml")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("4 policies"), HasSubstr("ratings.json"), HasSubstr("charm check")));
  const std::string recipe = read_file(path("mine.yaml"));
  EXPECT_THAT(recipe, HasSubstr("- {name: showman, responses: world/responses/showman.jsonl}"));
  EXPECT_THAT(recipe, HasSubstr("file: world/ratings.json"));
  // The world has an untrained causal model, which is no reward model.
  EXPECT_THAT(recipe, Not(HasSubstr("untrained")));
  expect_failure({"init", path("world/responses"), "--output", path("mine.yaml")}, 2,
                 {"mine.yaml: exists"});
  expect_failure({"init", path("gone"), "--output", path("other.yaml")}, 4, {"not a folder"},
                 path("other.yaml"));
  expect_failure({"init", path("rm"), "--output", path("other.yaml")}, 3,
                 {"of 0 policies, expected at least 2"}, path("other.yaml"));
}

TEST_F(FirstHour, InitWritesEachModelOnceAndSaysWhatItChooses) {
  fs::copy(path("rm"), path("world/responses/rm"));
  const Outcome outcome =
      run_charm({"init", path("world/responses"), "--output", path("mine.yaml")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string recipe = read_file(path("mine.yaml"));
  EXPECT_THAT(recipe, HasSubstr("model: world/responses/rm\n"));
  EXPECT_THAT(recipe, HasSubstr("max_tokens: 256\n")) << "the model's positions";
  EXPECT_THAT(recipe, Not(HasSubstr("# or:"))) << "the model is listed twice";
  EXPECT_THAT(recipe, HasSubstr("pairs: all   # every pair of policies"));
  EXPECT_THAT(recipe, HasSubstr("learning_rate: 3e-5   # of 0."));
  EXPECT_THAT(recipe, HasSubstr("holdout: 0.3 "))
      << "of 160 prompts 0.2 leaves too few to be measured on";
}

TEST_F(FirstHour, InitNamesWhatHasNoRating) {
  write_file(path("world/ratings.json"),
             R"({"scholar": 1200, "helper": 1100, "Showman-v1": 1000, "INTERN": 900})");
  const Outcome outcome = run_charm(
      {"init", path("world/responses"), "--output", path("mine.yaml"), "--model", path("rm")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("'showman' has no rating; nearest names: Showman-v1"));
  EXPECT_THAT(read_file(path("mine.yaml")), HasSubstr("showman: \"?\"   # nearest: Showman-v1"));
  expect_failure({"check", path("mine.yaml")}, 3, {"showman"});
}

TEST_F(FirstHour, CheckEstimatesAndFindsNothingWrong) {
  const std::string recipe = write_recipe();
  Outcome outcome = run_charm({"check", recipe});
  ASSERT_EQ(outcome.code, 0) << outcome.err << outcome.out;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("4, 4 with a rating"), HasSubstr("160 that every"),
                                 HasSubstr("held out"), HasSubstr("time"), HasSubstr("memory"),
                                 HasSubstr("disk")));
  EXPECT_FALSE(fs::exists(path("run")));
  outcome = run_charm({"check", recipe, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json check = json::parse(outcome.out);
  EXPECT_EQ(check["num_prompts"], 160);
  EXPECT_EQ(check["num_prompts_fit"].get<int>() + check["num_prompts_held_out"].get<int>(), 160);
  EXPECT_EQ(check["num_responses"], 640);
  EXPECT_GT(check["num_tokens"], 1000);
  EXPECT_GT(check["seconds"]["total"], 0.0);
  EXPECT_TRUE(check["problems"].empty());
}

TEST_F(FirstHour, CheckListsAllProblemsAndRunEndsOnThemBeforeAnyWork) {
  const std::string recipe = write_recipe();
  write_file(path("world/ratings.json"), R"({"scholar": 1200, "helper": 1100, "intern": 900})");
  write_file(path("bench.json"), "[{\"id\": 1}]");
  replace(recipe, "holdout: 0.3", "holdout: 0.1");
  replace(recipe, "  # - {benchmark: reward-bench, data: FILE}",
          "  - {benchmark: rm-bench, data: bench.json}");
  replace(recipe, "train:", "train:\n  lr: 1");
  json config = json::parse(read_file(path("rm/config.json")));
  config["architectures"] = {"LlamaForCausalLM"};
  write_file(path("rm/config.json"), config.dump());
  const Outcome outcome = run_charm({"check", recipe});
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  for (const char* part :
       {"no rating for policy 'showman'", "no reward head", "prompts in common that are held out",
        "bench.json", "unknown key 'lr' in train; the nearest known key is 'learning_rate'"})
    EXPECT_THAT(outcome.out, HasSubstr(part));
  EXPECT_THAT(outcome.err, HasSubstr("5 problems would end the run"));
  const Outcome run = run_charm({"run", recipe});
  EXPECT_NE(run.code, 0);
  EXPECT_THAT(run.err, AllOf(HasSubstr("showman"), HasSubstr("no reward head"),
                             HasSubstr("5 problems would end the run")));
  EXPECT_FALSE(fs::exists(path("run")));
}

TEST_F(FirstHour, ShowPrintsTheTextsBehindAPair) {
  score_all();
  const std::vector<std::string> inputs = join(
      {{"show", "--scores"},
       all_scores(),
       {"--ratings", path("world/ratings.json"), "--policy", "showman", "--against", "helper"}});
  Outcome outcome = run_charm(join({inputs, {"--top", "3", "--width", "60"}}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("showman against helper: 160 comparisons"),
                                 HasSubstr("win rate"), HasSubstr("1. "), HasSubstr("3. "),
                                 HasSubstr("prompt "), Not(HasSubstr("4. "))));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 70u) << line;
  outcome = run_charm(join({inputs, {"--top", "0", "--output", path("shown.jsonl")}}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::istringstream rows(read_file(path("shown.jsonl")));
  std::size_t num_rows = 0, num_flips = 0;
  bool flips_before = true;
  for (std::string row; std::getline(rows, row); ++num_rows) {
    const json one = json::parse(row);
    const bool flips = one["flips"];
    EXPECT_TRUE(flips_before || !flips) << "flips come first";
    EXPECT_EQ(flips, one["winner_before"] != one["winner_after"]);
    flips_before = flips;
    num_flips += flips;
  }
  EXPECT_EQ(num_rows, 160u);
  EXPECT_GT(num_flips, 0u);
  expect_failure(join({inputs, {"--output", path("shown.txt")}}), 2, {".jsonl or .csv"},
                 path("shown.txt"));
}

TEST_F(FirstHour, MeasureSaysWhomTheModelFlatters) {
  score_all();
  const Outcome outcome = run_charm(join({{"measure", "--scores"},
                                          all_scores(),
                                          {"--ratings", path("world/ratings.json"), "--output",
                                           path("m.json"), "--bootstrap", "100"}}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json policies = json::parse(read_file(path("m.json")))["policies"];
  ASSERT_EQ(policies.size(), 4u);
  std::vector<std::pair<double, std::string>> order;
  for (const json& policy : policies) {
    EXPECT_EQ(policy["num_prompts"], 160);
    EXPECT_LE(policy["mean_mismatch_ci95"][0], policy["mean_mismatch"]);
    EXPECT_GE(policy["mean_mismatch_ci95"][1], policy["mean_mismatch"]);
    EXPECT_TRUE(policy.contains("p_value_holm") && policy.contains("flag"));
    order.emplace_back(-policy["mean_mismatch"].get<double>(), policy["policy"]);
  }
  std::sort(order.begin(), order.end());
  std::size_t at = 0;
  for (const auto& [mean, name] : order) {
    const std::size_t next = outcome.out.find("  " + name, at);
    EXPECT_NE(next, std::string::npos) << name << " in " << outcome.out;
    at = next;
  }
  EXPECT_THAT(outcome.out, HasSubstr("Holm's correction for 4 policies"));
  // What heads the list of over-valued pairs is over-valued.
  const std::size_t list = outcome.out.find("most over-valued pairs");
  ASSERT_NE(list, std::string::npos);
  EXPECT_THAT(outcome.out.substr(list), Not(HasSubstr(" -0.")));
}

TEST_F(FirstHour, PairsAndMeasuresKeepTheHeldOutPromptsApart) {
  score_all();
  const auto with = [&](std::vector<std::string> command) {
    return run_charm(join({command, {"--scores"}, all_scores()}));
  };
  ASSERT_EQ(
      with({"calibrate", "--ratings", path("world/ratings.json"), "--reference", "helper",
            "--output", path("c.json"), "--bootstrap", "0", "--holdout", "0.3", "--seed", "4"})
          .code,
      0);
  const Outcome pairs =
      with({"prefer", "--calibration", path("c.json"), "--output", path("p.jsonl")});
  ASSERT_EQ(pairs.code, 0) << pairs.err;
  EXPECT_THAT(pairs.out, HasSubstr("prompts that the calibration held out are left out"));
  const Outcome measured =
      with({"measure", "--ratings", path("world/ratings.json"), "--output", path("m.json"),
            "--bootstrap", "0", "--holdout", "0.3", "--seed", "4"});
  ASSERT_EQ(measured.code, 0) << measured.err;
  const json mismatch = json::parse(read_file(path("m.json")));
  EXPECT_EQ(mismatch["num_prompts"],
            json::parse(read_file(path("c.json")))["held_out"]["num_prompts"]);
  std::set<std::string> trained;
  std::istringstream rows(read_file(path("p.jsonl")));
  for (std::string row; std::getline(rows, row);)
    trained.insert(json::parse(row)["prompt_id"].get<std::string>());
  EXPECT_LE(std::ssize(trained) + mismatch["num_prompts"].get<std::int64_t>(), 160);
}

TEST_F(FirstHour, ModelPathsThatAreNoneAreNamedApart) {
  const auto score = [&](const std::string& model) {
    return std::vector<std::string>{
        "score", "--model", model, "--responses", responses("helper"), "--output", path("out")};
  };
  expect_failure(score("org/name"), 4, {"written hub:org/name"}, path("out"));
  expect_failure(score(path("mr")), 4, {"mr: no such folder", "folders there: rm"}, path("out"));
  expect_failure(score(path("rm/model.safetensors")), 4, {"is a file"}, path("out"));
  expect_failure(score(path("world")), 4, {"no config.json", "world/"}, path("out"));
  expect_failure({"train", "--model", path("rm"), "--lr", "1"}, 2, {"--learning-rate"});
}

}  // namespace
}  // namespace charm::e2e
