#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/explain/explain_stage.h"
#include "charm/generate/generate_stage.h"
#include "charm/measure/measure_stage.h"
#include "charm/pipeline/problems.h"
#include "charm/pipeline/section.h"
#include "charm/prefer/prefer.h"
#include "charm/prepare/prepare.h"
#include "charm/report/report_stage.h"
#include "charm/score/score_stage.h"
#include "charm/train/train_stage.h"

namespace charm::pipeline {

/// A policy with existing responses, or with responses generated from the run's prompts.
struct RecipePolicy {
  std::string name;
  fs::path responses;  ///< any data set of responses; empty if generated
  std::optional<std::string> split;
  storage::ColumnNames columns;  ///< of the responses, where they have other names
  std::optional<generate::GenerateStageOptions>
      generation;                 ///< `prompts` and `output` are filled in by the plan
  std::vector<Setting> settings;  ///< generation settings that determine the output
};

struct RecipeRatings {
  fs::path file;
  std::string category;
  std::string date;
  std::map<std::string, std::string> aliases;
};

struct RecipeRewardModel {
  std::string name;                ///< <rm> in the run directory: the folder's name unless given
  score::ScoreStageOptions score;  ///< `responses` and `output` are filled in by the plan
};

/// A set of policies calibrated together, with the options of its preferences and training.
struct RecipeCalibration {
  std::string set;  ///< <set> in the run directory
  calibrate::CalibrateOptions options;
  bool votes = false;         ///< fitted to the recipe's votes instead of the ratings
  bool rating_prior = false;  ///< with the ratings as a prior
  std::vector<Setting> settings;
  /// Section `prefer` of the recipe, overridden by that of the set.
  prefer::PreferOptions preferences;
  std::vector<Setting> preference_settings;
  /// Likewise for `train`; used if the recipe trains.
  train::TrainOptions training;
  std::vector<Setting> training_settings;
};

struct RecipeEvaluation {
  std::string name;       ///< <benchmark> in the run directory
  std::string benchmark;  ///< as the recipe says
  evaluate::EvaluateOptions options;
  std::string calibration;  ///< votes, best-of-n: the set whose offsets are evaluated; empty: none
  std::vector<Setting> settings;
};

/// A resolved experiment: paths absolute or relative to the working directory, defaults and seeds
/// filled in.
struct Recipe {
  fs::path file;
  fs::path run_dir;
  std::uint64_t seed = 0;
  double holdout = 0.0;  ///< share of prompts held out of calibration and training; 0: none
  std::optional<prepare::PrepareOptions>
      prompts;  ///< use only these prompts; empty: all prompts of the responses
  std::vector<RecipePolicy> policies;
  RecipeRatings ratings;
  std::vector<fs::path> votes;  ///< people's votes with texts, scored like the responses
  RecipeRewardModel reward_model;
  measure::MeasureOptions mismatch;
  std::vector<RecipeCalibration> calibrations;
  bool trains = false;  ///< false: the run ends with the preferences
  std::vector<RecipeEvaluation> evaluations;
  explain::ExplainOptions explanation;  ///< of every calibrated set
  report::ReportOptions report;         ///< `run_dir` and `output` are filled in by the plan

  /// Settings of each section, for the fingerprints of steps: "score", "measure", ...
  std::map<std::string, std::vector<Setting>> settings;
};

/// Reads and checks a recipe. Throws kInput with file and line for unknown keys (naming the nearest
/// known one), wrong values, unknown names, and options of other commands; kIo for files that are
/// not there.
Recipe read_recipe(const fs::path& path);

/// The same for `charm check`: collects what is wrong and goes on with the next section.
Recipe read_recipe(const fs::path& path, Problems& problems);

/// A name as a file name: characters other than letters, digits, `.`, `_`, `-` become `_`.
std::string file_name_of(std::string_view name);

}  // namespace charm::pipeline
