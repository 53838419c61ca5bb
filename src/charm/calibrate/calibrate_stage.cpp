#include "charm/calibrate/calibrate_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/response.h"
#include "charm/results/result_file.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/score_inputs.h"

namespace charm::calibrate {
namespace {

void write_scores(const std::vector<fs::path>& files, const Calibration& calibration,
                  const CalibrateOptions& options, storage::Manifest& manifest) {
  const fs::path& folder = *options.write_scores;
  const std::int64_t num_without_offset =
      write_calibrated_scores(files, calibration, options.columns, folder);
  if (num_without_offset > 0) {
    log::warning("{}: {} scores of policies without an offset have no calibrated_score",
                 folder.string(), num_without_offset);
  }
  for (const fs::path& file : files) manifest.output(folder / file.filename());
}

}  // namespace

void check_settings(const CalibrateOptions& options) {
  const auto needs_votes = [](bool is_given, std::string_view name) {
    if (is_given) throw Error(ErrorKind::kUsage, "{} needs --votes", name);
  };
  needs_votes(options.style != StyleControl::kNone, "--style");
  needs_votes(options.cluster != VoteCluster::kPrompt, "--cluster");
  needs_votes(options.ties == CalibrateTies::kDavidson, "--ties davidson");
  needs_votes(options.interval == IntervalKind::kSandwich, "--interval sandwich");
  needs_votes(options.solve.mode.kind == ModeKind::kVotes, "--mode votes");
  check_settings(options.solve);
}

Calibration calibrate(const CalibrateOptions& options, const ProgressFn& progress) {
  if (options.reference.empty()) {
    throw Error(ErrorKind::kUsage, "--reference is required: the policy with offset 0");
  }
  if (!options.votes.empty()) return calibrate_votes(options, progress);
  check_settings(options);
  if (options.scores.empty() || options.ratings.empty()) {
    throw Error(ErrorKind::kUsage, "give --scores with --ratings, or --votes");
  }
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.held_out_scores);
  require_distinct(options.output, options.ratings);
  const bool is_smooth = options.solve.mode.kind != ModeKind::kSamePrompt;
  if (!is_smooth && options.solve.temperature != SolveOptions().temperature)
    log::warning("--temperature has no effect in mode same-prompt, which has no sigmoid");
  const OutputLock lock(options.output);
  std::vector<fs::path> scored_files;
  if (options.write_scores) {
    scored_files = check_calibrated_scores(options.scores, *options.write_scores);
  }

  storage::Manifest manifest("calibrate");
  manifest.options(options, describe_command);
  const storage::ScoreInputs inputs =
      storage::read_score_inputs({.scores = options.scores,
                                  .ratings = options.ratings,
                                  .category = options.category,
                                  .date = options.date,
                                  .max_bad_rows = options.max_bad_rows,
                                  .columns = options.columns,
                                  .holdout = options.holdout,
                                  .seed = options.solve.seed,
                                  .held_out_scores = options.held_out_scores},
                                 manifest, progress);
  const stats::PairedScoresOptions pairing{.first_policy = options.reference,
                                           .min_prompts = options.min_prompts,
                                           .strict = options.strict,
                                           .policies = options.policies};
  const stats::PairedScores scores(inputs.scores, pairing);
  const auto ratings_of = [&](const stats::PairedScores& table) {
    return storage::match_ratings(table.names(), inputs.ratings, options.aliases, options.ratings);
  };
  storage::warn_about_aliases(options.aliases, scores.names());
  const std::vector<ArenaRating> ratings = ratings_of(scores);
  Calibration calibration =
      solve(scores, ratings, scores.index_of(options.reference), options.solve, progress);
  std::optional<stats::PairedScores> held_out;
  std::vector<ArenaRating> held_out_ratings;
  if (!inputs.held_out.empty()) {
    held_out.emplace(inputs.held_out, pairing);
    held_out_ratings = ratings_of(*held_out);
    calibration.held_out = check_held_out(calibration, *held_out, held_out_ratings);
    calibration.held_out->share = options.holdout;
  }
  if (options.leave_one_out) {
    leave_one_out(calibration, scores, ratings, held_out ? &*held_out : nullptr, held_out_ratings,
                  progress);
  }
  for (const std::string& warning : calibration.warnings) log::warning("{}", warning);

  const nlohmann::ordered_json json =
      results::to_json(calibration, results::inputs_json(inputs.files));
  results::write_result(options.output, json, json["policies"]);
  manifest.output(options.output, static_cast<std::int64_t>(calibration.policies.size()));
  if (options.write_scores) {
    write_scores(scored_files, calibration, options, manifest);
    storage::write_manifest(*options.write_scores, manifest);
  }
  storage::write_manifest(options.output, manifest);
  return calibration;
}

}  // namespace charm::calibrate
