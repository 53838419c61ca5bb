#include "charm/measure/measure_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"

namespace charm::measure {
namespace {

using Json = nlohmann::ordered_json;

Json input_json(const fs::path& path, std::int64_t num_rows) {
  return {
      {"path", path.string()}, {"sha256", storage::sha256_of_path(path)}, {"num_rows", num_rows}};
}

storage::Manifest make_manifest(const MeasureOptions& options) {
  storage::Manifest manifest("measure");
  manifest.option("ties", stats::tie_rule_name(options.ties))
      .option("bootstrap", options.bootstrap)
      .option("category", options.category)
      .option("alias", options.aliases)
      .option("min-prompts", options.min_prompts)
      .option("strict", options.strict)
      .option("max-bad-rows", options.max_bad_rows)
      .seed(options.seed);
  return manifest;
}

}  // namespace

Mismatch measure(const MeasureOptions& options, const ProgressFn& progress) {
  if (options.scores.empty()) {
    throw Error(ErrorKind::kUsage, "no scores given; name one file for each policy with --scores");
  }
  require_writable(options.output);

  storage::Manifest manifest = make_manifest(options);
  Json inputs = Json::array();
  const auto add_input = [&](const fs::path& path, std::int64_t num_rows) {
    inputs.push_back(input_json(path, num_rows));
    manifest.input(path, num_rows);
  };
  std::vector<stats::ScoreFile> files;
  for (const fs::path& path : options.scores) {
    const storage::ReadOptions read{
        .max_bad_rows = options.max_bad_rows, .split = {}, .policy = {}};
    files.push_back({.name = path.string(), .rows = storage::read_scores(path, read)});
    add_input(path, static_cast<std::int64_t>(files.back().rows.size()));
    if (progress) {
      progress({.what = "reading scores",
                .done = static_cast<std::int64_t>(files.size()),
                .total = static_cast<std::int64_t>(options.scores.size()),
                .unit = "files",
                .detail = ""});
    }
  }
  const stats::PairedScores scores(files, {.first_policy = "",
                                           .min_prompts = options.min_prompts,
                                           .strict = options.strict,
                                           .policies = {}});
  const auto known = storage::read_ratings(options.ratings, {.category = options.category});
  add_input(options.ratings, static_cast<std::int64_t>(known.size()));
  const auto ratings =
      storage::match_ratings(scores.names(), known, options.aliases, options.ratings);

  Mismatch mismatch = measure_mismatch(scores, ratings,
                                       {.ties = options.ties,
                                        .bootstrap = options.bootstrap,
                                        .seed = options.seed,
                                        .num_threads = options.num_threads});
  for (const std::string& warning : mismatch.warnings) log::warning("{}", warning);

  // File names may hold bytes that are no UTF-8; they must not keep the result from being written.
  Json result = mismatch_json(mismatch, inputs);
  if (!options.prompts.empty()) result["prompts"] = options.prompts;
  const std::string text =
      result.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  write_file(options.output, text + "\n");
  manifest.output(options.output, static_cast<std::int64_t>(mismatch.pairs.size()));
  storage::write_manifest(options.output, manifest);
  return mismatch;
}

}  // namespace charm::measure
