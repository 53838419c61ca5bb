#include "charm/measure/measure_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/measure/mismatch.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/score_inputs.h"

namespace charm::measure {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

results::Mismatch measure(const MeasureOptions& options, const ProgressFn& progress) {
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
                                  .held_out_scores = {}},
                                 manifest, progress);
  const stats::PairedScores scores(inputs.scores, {.first_policy = "",
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
  for (const std::string& warning : mismatch.warnings) log::warning("{}", warning);

  // File names may not be valid UTF-8; the result is written all the same.
  const std::string text =
      results::to_json(mismatch, storage::inputs_json(inputs.files))
          .dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  write_file(options.output, text + "\n");
  manifest.output(options.output, static_cast<std::int64_t>(mismatch.pairs.size()));
  storage::write_manifest(options.output, manifest);
  return mismatch;
}

}  // namespace charm::measure
