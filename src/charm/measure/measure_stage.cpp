#include "charm/measure/measure_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/measure/mismatch.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/score_inputs.h"

namespace charm::measure {

void write_mismatch(const results::Mismatch& mismatch, const MeasureOptions& options,
                    std::span<const storage::InputFile> files, storage::Manifest& manifest) {
  for (const std::string& warning : mismatch.warnings) log::warning("{}", warning);
  const nlohmann::ordered_json json = results::to_json(mismatch, results::inputs_json(files));
  results::write_result(options.output, json, json["pairs"]);
  manifest.output(options.output, static_cast<std::int64_t>(mismatch.pairs.size()));
  storage::write_manifest(options.output, manifest);
}

results::Mismatch measure(const MeasureOptions& options, const ProgressFn& progress) {
  if (!options.votes.empty()) return measure_votes(options);
  if (options.scores.empty() || options.ratings.empty())
    throw Error(ErrorKind::kUsage, "give --scores with --ratings, or --votes");
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.ratings);
  const OutputLock lock(options.output);

  storage::Manifest manifest("measure");
  manifest.options(options, describe_command);
  const storage::ScoreInputs inputs =
      storage::read_score_inputs({.scores = options.scores,
                                  .ratings = options.ratings,
                                  .category = options.category,
                                  .date = options.date,
                                  .max_bad_rows = options.max_bad_rows,
                                  .columns = options.columns,
                                  .holdout = options.holdout,
                                  .seed = options.seed,
                                  .held_out_scores = {}},
                                 manifest, progress);
  const bool is_split = options.holdout > 0.0;
  const stats::PairedScores scores(is_split ? inputs.held_out : inputs.scores,
                                   {.first_policy = "",
                                    .min_prompts = options.min_prompts,
                                    .strict = options.strict,
                                    .policies = {}});
  storage::warn_about_aliases(options.aliases, scores.names());
  const auto ratings =
      storage::match_ratings(scores.names(), inputs.ratings, options.aliases, options.ratings);

  results::Mismatch mismatch = measure_mismatch(scores, ratings,
                                                {.ties = options.ties,
                                                 .bootstrap = options.bootstrap,
                                                 .seed = options.seed,
                                                 .num_threads = options.num_threads});
  mismatch.prompts = options.prompts;
  if (is_split)
    mismatch.prompts = fmt::format("held out (share {}, seed {})", options.holdout, options.seed);
  write_mismatch(mismatch, options, inputs.files, manifest);
  return mismatch;
}

}  // namespace charm::measure
