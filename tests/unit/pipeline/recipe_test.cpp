#include "charm/pipeline/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "charm/pipeline/recipe_sections.h"
#include "charm/pipeline/run_plan.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

/// A folder with the files that recipes name.
class RecipeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(dir_ / "rm/config.json", "{}");
    for (const char* name : {"a.jsonl", "b.jsonl", "c.jsonl", "ratings.json", "bench.json"})
      write_file(dir_ / name, "{}");
  }

  Recipe read(const std::string& text) {
    write_file(dir_ / "recipe.yaml", text);
    return read_recipe(dir_ / "recipe.yaml");
  }

  std::string refusal(const std::string& text, ErrorKind kind = ErrorKind::kInput) {
    try {
      read(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      return error.message();
    }
    return "no error";
  }

  const testing::TempFolder dir_;
};

const std::string kBase =
    "run_dir: out\n"
    "seed: 7\n"
    "policies:\n"
    "  - {name: a, responses: a.jsonl}\n"
    "  - {name: b, responses: b.jsonl}\n"
    "  - {name: c, responses: c.jsonl}\n"
    "ratings: ratings.json\n"
    "score: {name: rm, model: rm, dtype: float32, max_tokens: 512}\n";

std::vector<std::string> stages_of(const std::vector<Step>& plan) {
  std::vector<std::string> names;
  for (const Step& step : plan) names.push_back(step.name);
  return names;
}

TEST_F(RecipeTest, TakesAModelOfTheOriginalsRegistry) {
  write_file(
      dir_ / "rm_config.json",
      R"([{"model_name": "My RM", "model_path": "rm"}, {"model_name": "b", "model_path": "o/b"}])");
  std::string text = kBase;
  const std::string own = "{name: rm, model: rm, dtype: float32, max_tokens: 512}";
  const auto with = [&](const std::string& model) {
    return std::string(text).replace(text.find(own), own.size(), model);
  };
  const Recipe recipe = read(with("\"rm_config.json:My RM\""));
  EXPECT_EQ(recipe.reward_model.score.model_dir, dir_ / "rm");
  EXPECT_EQ(recipe.reward_model.name, "My_RM");
  EXPECT_EQ(read(with("{model: \"rm_config.json:b\"}")).reward_model.score.model_dir, "hub:o/b");
  EXPECT_NE(refusal(with("\"rm_config.json:c\"")).find("recipe.yaml:8: score: "),
            std::string::npos);
}

TEST_F(RecipeTest, SpreadsSeedsAndResolvesPaths) {
  const Recipe recipe =
      read(kBase +
           "calibrate: {reference: a}\ntraining: {learning-rate: 1e-5, seed: 3}\n"
           "evaluate: [{benchmark: rm-bench, data: bench.json}, {benchmark: arena}]\n");
  EXPECT_EQ(recipe.run_dir, dir_ / "out");
  EXPECT_EQ(recipe.policies.at(1).responses, dir_ / "b.jsonl");
  EXPECT_EQ(recipe.reward_model.score.encoder.max_tokens, 512);
  EXPECT_EQ(recipe.reward_model.score.model.dtype, engine::DTypeChoice::kFloat32);
  EXPECT_EQ(recipe.calibrations.at(0).set, "all");
  EXPECT_EQ(recipe.calibrations.at(0).options.solve.seed, 7u);
  EXPECT_EQ(recipe.mismatch.seed, 7u);
  EXPECT_TRUE(recipe.trains);
  EXPECT_DOUBLE_EQ(recipe.calibrations.at(0).training.learning_rate, 1e-5);
  EXPECT_EQ(recipe.calibrations.at(0).training.seed, 3u);
  EXPECT_THAT(recipe.evaluations.at(0).options.data, ElementsAre(dir_ / "bench.json"));
  EXPECT_EQ(recipe.evaluations.at(0).options.encoder.max_tokens, 512)
      << "scores as the reward model's section says";
  EXPECT_EQ(recipe.evaluations.at(1).name, "arena");
}

TEST_F(RecipeTest, AdaptersArePathsOrTheWordNone) {
  const std::string rest =
      "calibrate: {reference: a}\ntraining: {epochs: 1}\n"
      "evaluate: [{benchmark: rm-bench, data: bench.json}]\n";
  Recipe recipe = read(kBase + rest);
  EXPECT_EQ(recipe.reward_model.score.model.source.adapter, "");
  std::string text = kBase + rest;
  text.replace(text.find("dtype: float32"), 14, "adapter: none");
  recipe = read(text);
  EXPECT_EQ(recipe.reward_model.score.model.source.adapter, "none") << "a word, not a path";
  text.replace(text.find("adapter: none"), 13, "adapter: lora, base_model: hub:org/x");
  recipe = read(text);
  EXPECT_EQ(recipe.reward_model.score.model.source.adapter, (dir_ / "lora").string());
  EXPECT_EQ(recipe.reward_model.score.model.source.base_model, "hub:org/x");
}

TEST_F(RecipeTest, AnAliasOfNobodyIsDropped) {
  std::string text = kBase;
  const std::string own = "ratings: ratings.json";
  ASSERT_NE(text.find(own), std::string::npos);
  text.replace(text.find(own), own.size(),
               "ratings: {file: ratings.json, alias: {a: A, nobody: B}}");
  EXPECT_THAT(read(text).ratings.aliases, ElementsAre(Pair("a", "A")));
}

TEST_F(RecipeTest, SetsShareWhatStandsBesideThem) {
  const Recipe recipe =
      read(kBase +
           "calibrate:\n  mode: all-pairs\n  reference: b\n  sets:\n    one: {policies: [a]}\n"
           "    two: {policies: [a, c], reference: c, mode: same-prompt}\n");
  ASSERT_EQ(recipe.calibrations.size(), 2u);
  EXPECT_THAT(recipe.calibrations[0].options.policies, ElementsAre("a", "b"));
  EXPECT_EQ(recipe.calibrations[0].options.solve.mode.kind, calibrate::ModeKind::kAllPairs);
  EXPECT_EQ(recipe.calibrations[1].options.reference, "c");
  EXPECT_EQ(recipe.calibrations[1].options.solve.mode.kind, calibrate::ModeKind::kSamePrompt);
}

TEST_F(RecipeTest, SetsMayHavePairsAndTrainingOfTheirOwn) {
  const std::string sets =
      "calibrate:\n  reference: b\n  sets:\n    plain: {policies: [a]}\n"
      "    every: {policies: [a], prefer: {pairs: all}, train: {soft-labels: true, epochs: "
      "2}}\n";
  const Recipe recipe = read(kBase + sets +
                             "prefer: {pairs: vs-reference, min-margin: 0.5}\ntraining: "
                             "{epochs: 3, max-tokens: 99}\n");
  const RecipeCalibration& plain = recipe.calibrations.at(0);
  const RecipeCalibration& every = recipe.calibrations.at(1);
  EXPECT_EQ(plain.preferences.pairing.pairs, prefer::Pairs::kVsReference);
  EXPECT_EQ(every.preferences.pairing.pairs, prefer::Pairs::kAll);
  EXPECT_DOUBLE_EQ(every.preferences.pairing.min_margin, 0.5)
      << "what the set does not change stays";
  EXPECT_DOUBLE_EQ(plain.training.epochs, 3.0);
  EXPECT_DOUBLE_EQ(every.training.epochs, 2.0);
  EXPECT_FALSE(plain.training.soft_labels);
  EXPECT_TRUE(every.training.soft_labels);
  EXPECT_EQ(every.training.max_tokens, 99);
  EXPECT_NE(refusal(kBase + sets).find("recipe.yaml:13: calibrate.sets.every.train: "),
            std::string::npos)
      << refusal(kBase + sets);
  EXPECT_NE(refusal(kBase + "calibrate: {reference: b, sets: {s: {policies: [a], train: "
                            "{epoch: 2}}}}\ntraining: {}\n")
                .find("'epochs'"),
            std::string::npos)
      << "the nearest key is named";
}

TEST_F(RecipeTest, PlansTheStagesInOrder) {
  const Recipe recipe = read(
      kBase +
      "holdout: 0.2\ncalibration: {sets: {s: {policies: [a, b], reference: b}}}\ntraining: {}\n"
      "evaluate: [{benchmark: arena}]\n");
  EXPECT_THAT(stages_of(make_plan(recipe)),
              ElementsAre("responses a", "responses b", "responses c", "score rm", "score rm split",
                          "measure rm", "calibrate rm/s", "prefer rm/s", "train rm/s",
                          "rescore rm-s", "remeasure rm-s", "evaluate rm/arena",
                          "evaluate rm-s/arena", "compare rm-s/arena", "explain rm/s", "report"));
}

TEST_F(RecipeTest, VotesAreComparedBetweenModelsAndAuditsCompareThemselves) {
  write_file(dir_ / "votes.jsonl", "");
  const Recipe recipe =
      read(kBase +
           "votes: votes.jsonl\ncalibration: {reference: b, sets: {s: {policies: [a, b]}}}\n"
           "training: {}\nevaluate: [{benchmark: votes}, {benchmark: best-of-n}]\n");
  const std::vector<std::string> stages = stages_of(make_plan(recipe));
  EXPECT_THAT(stages, ::testing::Contains("compare rm-s/votes"));
  EXPECT_THAT(stages, ::testing::Not(::testing::Contains("compare rm-s/best-of-n")));
}

TEST_F(RecipeTest, HeldOutPromptsMeasureAndTheOthersCalibrate) {
  const Recipe recipe = read(kBase + "holdout: 0.2\ncalibration: {reference: b}\n");
  for (const Step& step : make_plan(recipe)) {
    if (step.stage == "measure") {
      EXPECT_EQ(step.inputs.front(), dir_ / "out/splits/held-out/rm/a.parquet");
    }
    if (step.stage == "calibrate" || step.stage == "prefer") {
      EXPECT_EQ(step.inputs.front(), dir_ / "out/splits/fit/rm/a.parquet");
    }
    if (step.stage == "calibrate") {
      EXPECT_THAT(step.inputs, ::testing::Contains(dir_ / "out/splits/held-out/rm/a.parquet"))
          << "to check the offsets on";
    }
  }
}

TEST_F(RecipeTest, UnknownKeysNameTheLineAndTheNearestKnownKey) {
  EXPECT_THAT(refusal(kBase + "calibraton: {}\n"),
              ::testing::AllOf(HasSubstr("recipe.yaml:9: "), HasSubstr("'calibrate'")));
  EXPECT_THAT(refusal(kBase + "calibrate:\n  refrence: a\n"),
              ::testing::AllOf(HasSubstr(":10: "), HasSubstr("'reference'")));
  EXPECT_THAT(refusal(kBase + "evaluate: [{benchmark: arena, sed: 1}]\n"), HasSubstr("'seed'"));
}

TEST_F(RecipeTest, SectionsHaveTheCommandsNamesAndTheirFormerOnes) {
  const std::string former =
      "calibration: {reference: b, sets: {s: {policies: [a], preferences: {pairs: all}, training: "
      "{epochs: 2}}}}\npreferences: {min_margin: 0.5}\ntraining: {max_tokens: 99}\nmismatch: "
      "{bootstrap: 5}\nevaluation: [{benchmark: arena}]\n";
  const std::string now =
      "calibrate: {reference: b, sets: {s: {policies: [a], prefer: {pairs: all}, train: {epochs: "
      "2}}}}\nprefer: {min_margin: 0.5}\ntrain: {max_tokens: 99}\nmeasure: {bootstrap: "
      "5}\nevaluate: [{benchmark: arena}]\n";
  for (const std::string& text : {former, now}) {
    const Recipe recipe = read(kBase + text);
    const RecipeCalibration& calibration = recipe.calibrations.at(0);
    EXPECT_EQ(calibration.preferences.pairing.pairs, prefer::Pairs::kAll);
    EXPECT_DOUBLE_EQ(calibration.preferences.pairing.min_margin, 0.5);
    EXPECT_DOUBLE_EQ(calibration.training.epochs, 2.0);
    EXPECT_EQ(calibration.training.max_tokens, 99);
    EXPECT_EQ(recipe.mismatch.bootstrap, 5);
    EXPECT_EQ(recipe.evaluations.size(), 1u);
    EXPECT_TRUE(recipe.trains);
  }
  EXPECT_THAT(refusal(kBase + "measure: {}\nmismatch: {}\n"),
              HasSubstr("section 'measure' is given as 'mismatch' too"));
}

TEST_F(RecipeTest, CollectsAllProblems) {
  write_file(dir_ / "recipe.yaml",
             "run_dir: out\nsedd: 1\nholdout: 2\n"
             "policies: [{name: a, responses: gone.jsonl}, {name: b, responses: b.jsonl}]\n"
             "ratings: gone.json\nscore: {model: rm, lr: 1}\n"
             "calibrate: {reference: a, bootstrap: many}\ntrain: {lr: 1, batch_size: 2}\n");
  Problems problems;
  const Recipe recipe = read_recipe(dir_ / "recipe.yaml", problems);
  std::string all;
  for (const Error& error : problems.errors()) all += error.message() + "\n";
  for (const char* part :
       {"'sedd'", "holdout: expected", "gone.jsonl", "gone.json'", "calibrate.bootstrap",
        "unknown key 'lr' in train; the nearest known key is 'learning_rate'",
        "unknown key 'batch_size' in train; the nearest known key is 'pairs_per_step'"})
    EXPECT_THAT(all, HasSubstr(part));
  EXPECT_EQ(problems.errors().size(), 8u) << all;
  EXPECT_EQ(recipe.policies.size(), 2u);
}

TEST_F(RecipeTest, ModelPathsThatAreNoneAreNamedApart) {
  const auto with = [&](const std::string& model) {
    std::string text = kBase;
    return text.replace(text.find("model: rm"), 9, "model: " + model);
  };
  EXPECT_THAT(refusal(with("org/name"), ErrorKind::kIo), HasSubstr("written hub:org/name"));
  EXPECT_THAT(refusal(with("mr"), ErrorKind::kIo), HasSubstr("mr: no such folder"));
  EXPECT_THAT(refusal(with("a.jsonl"), ErrorKind::kIo), HasSubstr("a.jsonl: is a file"));
  create_folders(dir_ / "runs");
  write_file(dir_ / "runs/checkpoint-5/config.json", "{}");
  EXPECT_THAT(refusal(with("runs"), ErrorKind::kIo),
              ::testing::AllOf(HasSubstr("no config.json"), HasSubstr("runs/checkpoint-5")));
}

TEST_F(RecipeTest, WrongValuesNameTheLine) {
  EXPECT_THAT(
      refusal(kBase + "calibrate: {reference: a, bootstrap: many}\n"),
      ::testing::AllOf(HasSubstr("recipe.yaml:9: calibrate.bootstrap"), HasSubstr("'many'")));
  EXPECT_THAT(refusal(kBase + "calibrate: {reference: a, interval: influence}\n"),
              ::testing::AllOf(HasSubstr("recipe.yaml:9: calibrate.interval"),
                               HasSubstr("'influence' was removed"), HasSubstr("bootstrap")));
  EXPECT_THAT(refusal(kBase + "calibrate: {reference: nobody}\n"),
              HasSubstr("'nobody' is not among the policies"));
  EXPECT_THAT(refusal(kBase + "calibrate: {mode: same-prompt}\n"),
              HasSubstr("'reference' is missing"));
  EXPECT_THAT(refusal(kBase + "holdout: 1.5\n"), HasSubstr("holdout"));
  EXPECT_THAT(refusal(kBase + "holdout: 0.2\ncalibration: {reference: a, holdout: 0.1}\n"),
              HasSubstr("exclude each other"));
  EXPECT_THAT(refusal(kBase + "train: {}\n"), HasSubstr("'calibrate' is missing"));
  EXPECT_THAT(refusal(kBase + "evaluate: [{benchmark: mt-bench, data: bench.json}]\n"),
              HasSubstr("mt-bench"));
  EXPECT_THAT(refusal(kBase + "evaluate: [{benchmark: rm-bench}]\n"),
              HasSubstr("'data' is missing"));
  EXPECT_THAT(refusal(kBase + "calibrate: {reference: b}\npreferences: [1]\n"),
              HasSubstr("expected a map"));
}

/// A value outside of a range.
std::string outside(const NumberRange& range) {
  return fmt::format("{}", std::isfinite(range.lowest) ? range.lowest - 1.0 : range.highest + 1.0);
}

/// The keys of a section with a range, each as a recipe that breaks it.
template <typename Fields>
void expect_ranges_kept(void (*describe)(OptionTable&, Fields&),
                        const std::function<std::string(const std::string&)>& with,
                        const std::string& section, const std::string& line) {
  Fields fields;
  OptionTable table;
  describe(table, fields);
  for (const Option& option : table.options()) {
    if (!option.range) continue;
    std::string key = option.name;
    std::replace(key.begin(), key.end(), '-', '_');
    EXPECT_THAT(with(key + ": " + outside(*option.range)),
                HasSubstr("recipe.yaml:" + line + ": " + section + key + ": expected " +
                          option.range->text()));
  }
}

TEST_F(RecipeTest, EveryNumberOutOfRangeNamesTheLine) {
  const std::string calibrated = kBase + "calibrate: {reference: a}\n";
  const auto added = [&](const std::string& base, const std::string& begin) {
    return [=, this](const std::string& key) { return refusal(base + begin + key + "}\n"); };
  };
  expect_ranges_kept<measure::MeasureOptions>(measure::describe_settings,
                                              added(kBase, "measure: {"), "measure.", "9");
  expect_ranges_kept<calibrate::CalibrateOptions>(
      calibrate::describe_settings, added(kBase, "calibrate: {reference: a, "), "calibrate.", "9");
  expect_ranges_kept<prefer::PreferOptions>(prefer::describe_settings,
                                            added(calibrated, "prefer: {"), "prefer.", "10");
  expect_ranges_kept<train::TrainOptions>(train::describe_settings, added(calibrated, "train: {"),
                                          "train.", "10");
  expect_ranges_kept<explain::ExplainOptions>(explain::describe_settings,
                                              added(calibrated, "explain: {"), "explain.", "10");
  expect_ranges_kept<evaluate::EvaluateOptions>(
      evaluate::describe_settings,
      [&](const std::string& key) {
        return refusal(kBase + "evaluate: [{benchmark: rm-bench, data: bench.json, " + key +
                       "}]\n");
      },
      "evaluate.", "9");
  expect_ranges_kept<prepare::PrepareOptions>(
      prepare::describe_settings, added(kBase, "prepare: {input: a.jsonl, "), "prepare.", "9");
  const std::string generating =
      "run_dir: out\nprepare: a.jsonl\npolicies:\n"
      "  - {name: a, server: 'http://x', server_model: m}\n  - {name: b, responses: b.jsonl}\n"
      "ratings: ratings.json\nscore: rm\n";
  expect_ranges_kept<generate::GenerateStageOptions>(
      generate::describe_settings, added(generating, "generate: {"), "generate.", "8");
  expect_ranges_kept<RecipeRewardModel>(
      describe_score,
      [&](const std::string& key) {
        std::string text = kBase;
        return refusal(text.replace(text.find("max_tokens: 512"), 15, key));
      },
      "score.", "8");
  EXPECT_THAT(refusal(kBase + "holdout: 1\n"),
              HasSubstr("recipe.yaml:9: holdout: expected at least 0 and less than 1, found 1"));
}

TEST_F(RecipeTest, SettingsThatExcludeEachOtherNameTheLine) {
  const std::string calibrated = kBase + "calibrate: {reference: a}\n";
  EXPECT_THAT(refusal(calibrated + "train: {use_margin: true, soft_labels: true}\n"),
              HasSubstr("recipe.yaml:10: train: --use-margin and --soft-labels"));
  EXPECT_THAT(refusal(calibrated + "prefer: {rejected: random}\n"),
              HasSubstr("recipe.yaml:10: prefer: --rejected random requires --best-of-n"));
  EXPECT_THAT(refusal(kBase + "calibrate: {reference: a, shrink: true, mode: all-pairs}\n"),
              HasSubstr("recipe.yaml:9: calibrate: --shrink"));
  EXPECT_THAT(refusal(kBase + "calibrate: {reference: a, policies: [b], leave_one_out: true}\n"),
              HasSubstr("recipe.yaml:9: calibrate: leave_one_out needs three or more policies"));
  EXPECT_THAT(refusal(kBase + "prepare: {input: a.jsonl, min_chars: 5, max_chars: 4}\n"),
              HasSubstr("recipe.yaml:9: prepare: --min-chars 5 is more than --max-chars 4"));
  EXPECT_THAT(refusal(kBase + "evaluate: [{benchmark: arena, limit_per_subset: 3}]\n"),
              HasSubstr("recipe.yaml:9: evaluate: arena has no subsets"));
}

TEST_F(RecipeTest, RunDirIsAFolderOrNothing) {
  const auto with = [&](const std::string& folder) {
    std::string text = kBase;
    return text.replace(text.find("run_dir: out"), 12, "run_dir: " + folder);
  };
  EXPECT_THAT(refusal(with("a.jsonl"), ErrorKind::kIo),
              ::testing::AllOf(HasSubstr("recipe.yaml:1: run_dir: "), HasSubstr("is a file")));
  EXPECT_THAT(refusal(with("a.jsonl/x/y"), ErrorKind::kIo), HasSubstr("a.jsonl' is a file"));
  EXPECT_EQ(read(with("new/deep/run")).run_dir, dir_ / "new/deep/run");
  EXPECT_FALSE(fs::exists(dir_ / "new")) << "reading a recipe writes nothing";
}

TEST_F(RecipeTest, PoliciesMayHaveColumnsOfTheirOwn) {
  std::string text = kBase;
  text.replace(text.find("b.jsonl}"), 8, "b.jsonl, response_column: answer}");
  text.replace(text.find("model: rm,"), 10, "model: rm, response_column: text, prompt_column: q,");
  const Recipe recipe = read(text);
  EXPECT_EQ(recipe.policies.at(0).columns.response, "text");
  EXPECT_EQ(recipe.policies.at(1).columns.response, "answer");
  EXPECT_EQ(recipe.policies.at(1).columns.prompt, "q");
  EXPECT_FALSE(recipe.reward_model.score.columns.response) << "the run writes the usual columns";
  const std::vector<Step> plan = make_plan(recipe);
  EXPECT_THAT(plan.at(1).settings, ::testing::Contains(Setting{"response-column", {"answer"}}));
  EXPECT_THAT(make_plan(read(kBase)).at(1).settings,
              ::testing::Not(::testing::Contains(
                  ::testing::Field(&Setting::name, ::testing::StrEq("response-column")))));
}

TEST_F(RecipeTest, MissingPartsAreNamed) {
  EXPECT_THAT(refusal("run_dir: out\n"), HasSubstr("'policies' is missing"));
  EXPECT_THAT(refusal("seed: 1\n"), HasSubstr("'run_dir' is missing"));
  EXPECT_THAT(refusal("run_dir: o\npolicies: [{name: a, responses: gone.jsonl}]\n", ErrorKind::kIo),
              HasSubstr("gone.jsonl"));
  EXPECT_THAT(refusal("run_dir: o\npolicies: [{name: a, model: m}]\n"),
              HasSubstr("key 'prepare' is missing"));
  EXPECT_THAT(refusal("run_dir: o\npolicies: [{name: a}]\n"),
              HasSubstr("expected one of 'responses'"));
  EXPECT_THAT(refusal("run_dir: o\nprompts: a.jsonl\npolicies: [{name: a, responses: a.jsonl, "
                      "server: 'http://x'}]\n"),
              HasSubstr("give one of 'responses', 'model' and 'server'"));
  EXPECT_THAT(refusal("run_dir: o\nprompts: a.jsonl\npolicies: [{name: a, server: 'http://x'}]\n"),
              HasSubstr("server-model"));
  EXPECT_THAT(refusal("run_dir: o\nprompts: a.jsonl\npolicies: [{name: a, server: 'http://x', "
                      "temprature: 1}]\n"),
              HasSubstr("'temperature'"));
  EXPECT_THAT(
      refusal("run_dir: o\nprompts: a.jsonl\npolicies: [{name: a, model: gone}]\n", ErrorKind::kIo),
      HasSubstr("gone"));
  EXPECT_THAT(refusal("run_dir: o\nprompts: a.jsonl\ngeneration: {server: 'http://x'}\npolicies: "
                      "[{name: a, server: 'http://x', server_model: m}]\n"),
              HasSubstr("give it for each policy instead"));
  EXPECT_THAT(
      refusal(
          "run_dir: o\npolicies: [{name: a, responses: a.jsonl}, {name: a, responses: b.jsonl}]\n"),
      HasSubstr("listed twice"));
}

TEST_F(RecipeTest, AliasesMayBeAMap) {
  const Recipe recipe = read(
      "run_dir: out\npolicies: [{name: a, responses: a.jsonl}, {name: b, responses: b.jsonl}]\n"
      "ratings: {file: ratings.json, alias: {a: other}}\nreward_model: rm\n");
  EXPECT_EQ(recipe.ratings.aliases.at("a"), "other");
  EXPECT_EQ(recipe.reward_model.name, "rm");
}

TEST(FileNames, HoldNoSeparators) {
  EXPECT_EQ(file_name_of("org/model 1"), "org_model_1");
  EXPECT_EQ(file_name_of(".."), "_");
}

}  // namespace
}  // namespace charm::pipeline
