#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/stats/interval.h"

namespace charm::report {

/// A number from a result file with its 95 % interval, where it has one.
struct Measured {
  double value = 0.0;
  std::optional<stats::Interval> ci95;
};

/// A policy against a reference under one reward model.
struct PairResult {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::optional<Measured> target;    ///< win rate that the ratings imply
  std::optional<Measured> win_rate;  ///< under the reward model's own scores
  std::optional<Measured> mismatch;
  std::optional<Measured> win_rate_after;  ///< with the offsets added (calibration files)
  std::optional<Measured> mismatch_after;
  std::optional<double> residual;
  std::optional<std::int64_t> ties;
};

/// `mismatch/<model>.json`.
struct MismatchFile {
  std::string model;
  std::vector<PairResult> pairs;
};

struct PolicyOffset {
  std::string policy;
  std::optional<double> rating_elo;
  std::optional<Measured> offset;
  std::optional<stats::Interval> plateau;  ///< offsets that give the same win rate
};

/// Mean of |MD| over ordered pairs.
struct MeanMismatch {
  double before = 0.0;
  double after = 0.0;
  double sampling_noise = 0.0;  ///< expected under sampling noise alone
};

/// Evaluation of the offsets on held-out prompts.
struct HeldOutFile {
  std::int64_t num_prompts = 0;
  std::optional<MeanMismatch> mean;
  std::vector<PairResult> pairs;
};

/// Leave-one-out result of a policy: effect of the other policies' offsets on its mean |MD| with
/// all others.
struct HeldOutPolicy {
  std::string policy;
  bool is_held_out = false;  ///< on prompts held out of the fit
  double before = 0.0;
  double after = 0.0;
  double with_all = 0.0;  ///< at the offsets of the joint fit
  std::optional<stats::Interval> change_ci95;
};

/// `explanation/<model>/<set>.json`.
struct ExplanationFile {
  std::string model;
  std::string set;
  nlohmann::ordered_json json;
};

/// `calibration/<model>/<set>.json`.
struct CalibrationFile {
  std::string model;
  std::string set;
  std::string mode, solver, ties, reference;
  std::int64_t num_prompts = 0;
  std::vector<PolicyOffset> policies;
  std::vector<PairResult> pairs;
  std::optional<MeanMismatch> mean;
  std::optional<HeldOutFile> held_out;
  std::vector<HeldOutPolicy> held_out_policies;
  std::vector<std::string> warnings;
  std::string same_as;  ///< an earlier set of the model with the same calibration (sets may differ
                        ///< only in pairs and training); else empty

  /// Name of the reward model fine-tuned on this set.
  std::string retrained_model() const { return model + "-" + set; }
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
  std::string benchmark;
  nlohmann::ordered_json json;
};

/// `comparison/<model>/<benchmark>.json`: the fine-tuned model against its base model.
struct ComparisonFile {
  std::string model;
  std::string benchmark;
  nlohmann::ordered_json json;
};

struct ManifestFile {
  std::string path;  ///< relative to the run directory
  nlohmann::ordered_json json;
};

/// Everything that a run directory holds.
struct RunData {
  std::string name;
  std::vector<MismatchFile> mismatches;
  std::vector<CalibrationFile> calibrations;
  std::vector<ModelScores> scores;
  std::vector<TrainingRun> trainings;
  std::vector<EvaluationFile> evaluations;
  std::vector<ComparisonFile> comparisons;
  std::vector<ExplanationFile> explanations;
  std::vector<ManifestFile> manifests;
  nlohmann::ordered_json world;           ///< null where the run has no planted ground truth
  std::set<std::string> split_models;     ///< models with held-out prompts (splits/<model>.json)
  std::map<std::string, double> ratings;  ///< Elo points, from any file that has them

  /// `same_as` of the set's calibration.
  std::string same_offsets_as(const std::string& model, const std::string& set) const;
  const MismatchFile* mismatch_of(const std::string& model) const;
  const ModelScores* scores_of(const std::string& model) const;
  bool empty() const;
};

/// Reads a run directory; missing results stay empty. Throws kIo when the directory is missing and
/// kInput, naming the file, for one that cannot be parsed.
RunData read_run(const fs::path& run_dir);

/// The object `name` inside `object`; an empty one where there is none.
const nlohmann::ordered_json& object_at(const nlohmann::ordered_json& object, const char* name);

/// "mean_score" of `object` with "mean_score_ci95"; empty where it is missing or null. The first of
/// `names` that is present is used.
std::optional<Measured> measured_at(const nlohmann::ordered_json& object,
                                    std::initializer_list<const char*> names);

/// Reads the scores files of one reward model (without texts); histograms of all policies share
/// their bins.
ModelScores summarise_scores(const std::string& model, std::span<const fs::path> files);

}  // namespace charm::report
