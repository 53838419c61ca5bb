#include "charm/calibrate/calibrate_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/calibrate/calibration.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/score_inputs.h"

namespace charm::calibrate {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

Calibration calibrate(const CalibrateOptions& options, const ProgressFn& progress) {
  if (options.reference.empty()) {
    throw Error(ErrorKind::kUsage,
                "no reference policy given; name the policy with offset 0 by --reference");
  }
  require_writable(options.output);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.held_out_scores);
  require_distinct(options.output, options.ratings);
  const OutputLock lock(options.output);

  storage::Manifest manifest("calibrate");
  manifest.options(options, describe_command);
  const storage::ScoreInputs inputs =
      storage::read_score_inputs({.scores = options.scores,
                                  .ratings = options.ratings,
                                  .category = options.category,
                                  .date = options.date,
                                  .max_bad_rows = options.max_bad_rows,
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

  // File names may not be valid UTF-8; the result is written all the same.
  const std::string text =
      results::to_json(calibration, storage::inputs_json(inputs.files))
          .dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  write_file(options.output, text + "\n");
  manifest.output(options.output, static_cast<std::int64_t>(calibration.policies.size()));
  storage::write_manifest(options.output, manifest);
  return calibration;
}

}  // namespace charm::calibrate
