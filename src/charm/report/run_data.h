#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/report/cases.h"
#include "charm/results/calibration.h"
#include "charm/results/comparison.h"
#include "charm/results/evaluation.h"
#include "charm/results/explanation.h"
#include "charm/results/mismatch.h"
#include "charm/results/result_file.h"
#include "charm/results/world.h"

namespace charm::report {

/// `mismatch/<model>.json`.
struct MismatchFile : results::Mismatch {
  std::string model;
  std::vector<results::InputFile> inputs;
};

/// `explanation/<model>/<set>.json`.
struct ExplanationFile : results::Explanation {
  std::string model;
  std::string set;
};

/// `calibration/<model>/<set>.json`.
struct CalibrationFile : results::Calibration {
  std::string model;
  std::string set;
  std::string same_as;  ///< an earlier set of the model with the same calibration (sets may differ
                        ///< only in pairs and training); else empty
  std::string trained;  ///< the model trained on its pairs, where it has a name of its own
  std::vector<results::InputFile> inputs;

  /// Name of the reward model fine-tuned on this set.
  std::string retrained_model() const { return trained.empty() ? model + "-" + set : trained; }
};

/// Histogram and summary statistics of one policy's scores under one model.
struct ScoreSummary {
  std::string policy;
  std::int64_t num_scores = 0;
  std::int64_t num_errors = 0;
  double mean = 0.0;
  double standard_deviation = 0.0;
  double median = 0.0;
  std::vector<std::int64_t> bins;
};

/// `scores/<model>/`.
struct ModelScores {
  std::string model;
  double first_bin = 0.0;  ///< lower edge
  double bin_width = 1.0;
  std::vector<ScoreSummary> policies;
};

/// One line of `models/<model>/<set>/metrics.jsonl`.
struct MetricPoint {
  double step = 0.0;
  bool is_held_out = false;
  std::map<std::string, double> values;  ///< "loss", "accuracy", ... without the prefix "eval_"
};

struct TrainingRun {
  std::string model;
  std::string set;
  std::vector<MetricPoint> points;
};

/// `eval/<model>/<benchmark>.json`.
struct EvaluationFile {
  std::string model;
  std::string benchmark;  ///< name of the file; a recipe may rename it
  results::Evaluation result;
  fs::path file;
};

/// `comparison/<model>/<benchmark>.json`: the fine-tuned model against its base model.
struct ComparisonFile {
  std::string model;
  std::string benchmark;
  results::Comparison result;
};

struct ManifestFile {
  std::string path;  ///< relative to the run directory
  nlohmann::ordered_json json;
};

/// Everything that a run directory holds.
struct RunData {
  fs::path folder;
  std::string name;
  std::vector<MismatchFile> mismatches;
  std::vector<CalibrationFile> calibrations;
  std::vector<ModelScores> scores;
  std::vector<TrainingRun> trainings;
  std::vector<EvaluationFile> evaluations;
  std::vector<ComparisonFile> comparisons;
  std::vector<ExplanationFile> explanations;
  std::vector<ManifestFile> manifests;
  std::set<fs::path> earlier;  ///< what a recipe made that this run no longer has; not shown
  std::optional<results::World> world;    ///< of a run with planted ground truth
  std::set<std::string> split_models;     ///< models with held-out prompts (splits/<model>.json)
  std::map<std::string, double> ratings;  ///< Elo points, from any file that has them
  CaseSet cases;                          ///< filled by `collect_cases`

  /// Adds the ratings of a result's policies to `ratings`; not those of people's votes alone, which
  /// are on a scale of their own.
  void take_ratings(const MismatchFile& file);
  void take_ratings(const CalibrationFile& file);
  /// `same_as` of the set's calibration.
  std::string same_offsets_as(const std::string& model, const std::string& set) const;
  /// The first of the model, which is on held-out prompts if one is.
  const MismatchFile* mismatch_of(const std::string& model) const;
  /// The mismatch of a model with the calibration's kind of target: that of a fit of votes is
  /// measured from votes (mismatch/<model>.votes.json in a run), others from ratings.
  const MismatchFile* mismatch_of(const std::string& model,
                                  const CalibrationFile& calibration) const;
  /// Key of the group of cases of a mismatch, which is one of `mismatches`; distinct where a model
  /// was measured more than once.
  std::string cases_of(const MismatchFile& file) const;
  const ModelScores* scores_of(const std::string& model) const;
  bool empty() const;
};

/// Reads a run directory, and results of commands run one by one beside or instead of its layout
/// (flat_run.cpp); missing results stay empty. Throws kIo when the directory is missing and
/// kInput, naming the file, for one that cannot be parsed.
RunData read_run(const fs::path& run_dir);

/// The `inputs` member of a result or a manifest.
std::vector<results::InputFile> recorded_inputs(const nlohmann::ordered_json& json);

/// The scores files of a reward model: those of the held-out prompts, where the run has any.
std::vector<fs::path> score_files_of(const RunData& run, const std::string& model);

/// Reads a training's metrics.jsonl; model and set are the names of the folders above it.
TrainingRun read_training(const fs::path& path);

/// Reads the scores files of one reward model (without texts); histograms of all policies share
/// their bins.
ModelScores summarise_scores(const std::string& model, std::span<const fs::path> files);

/// Adds what commands run one by one wrote into a folder and its subfolders (not below them):
/// results are told by their content, whatever their names, folders of scores and of trained models
/// by their files. The folders of a run's layout are read_run's. Reward models have the names of
/// their folders, as the manifests of the scores record them; a result belongs to the model of its
/// first input.
void read_flat_run(const fs::path& folder, RunData& run);

}  // namespace charm::report
