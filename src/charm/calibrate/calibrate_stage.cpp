#include "charm/calibrate/calibrate_stage.h"

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"

namespace charm::calibrate {
namespace {

using Json = nlohmann::ordered_json;

Json input_json(const fs::path& path, std::int64_t num_rows) {
  return {
      {"path", path.string()}, {"sha256", storage::sha256_of_path(path)}, {"num_rows", num_rows}};
}

storage::Manifest make_manifest(const CalibrateOptions& options) {
  const SolveOptions& solve = options.solve;
  storage::Manifest manifest("calibrate");
  manifest.option("reference", options.reference)
      .option("policies", options.policies)
      .option("mode", mode_name(solve.mode))
      .option("solver", solver_name(solve.solver))
      .option("ties", stats::tie_rule_name(solve.ties))
      .option("weights", pair_weights_name(solve.weights))
      .option("temperature", solve.temperature)
      .option("bootstrap", solve.bootstrap)
      .option("category", options.category)
      .option("alias", options.aliases)
      .option("min-prompts", options.min_prompts)
      .option("strict", options.strict)
      .option("max-bad-rows", options.max_bad_rows)
      .seed(solve.seed);
  return manifest;
}

}  // namespace

Calibration calibrate(const CalibrateOptions& options, const ProgressFn& progress) {
  if (options.scores.empty()) {
    throw Error(ErrorKind::kUsage, "no scores given; name one file for each policy with --scores");
  }
  if (options.reference.empty()) {
    throw Error(
        ErrorKind::kUsage,
        "no reference policy given; name the policy that keeps its scores with --reference");
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
  }
  const stats::PairedScores scores(files, {.first_policy = options.reference,
                                           .min_prompts = options.min_prompts,
                                           .strict = options.strict,
                                           .policies = options.policies});
  const auto known = storage::read_ratings(options.ratings, {.category = options.category});
  add_input(options.ratings, static_cast<std::int64_t>(known.size()));
  const auto ratings =
      storage::match_ratings(scores.names(), known, options.aliases, options.ratings);

  Calibration calibration =
      solve(scores, ratings, scores.index_of(options.reference), options.solve, progress);
  for (const std::string& warning : calibration.warnings) log::warning("{}", warning);

  // File names may hold bytes that are no UTF-8; they must not keep the result from being written.
  const std::string text =
      calibration_json(calibration, inputs)
          .dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  write_file(options.output, text + "\n");
  manifest.output(options.output, static_cast<std::int64_t>(calibration.policies.size()));
  storage::write_manifest(options.output, manifest);
  return calibration;
}

}  // namespace charm::calibrate
