#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/evaluate/scored_rows.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"

namespace charm::evaluate {

using nlohmann::ordered_json;

std::string model_name(const EvaluateOptions& options) {
  if (!options.model_name.empty()) return options.model_name;
  const fs::path folder = options.model_dir.empty() ? fs::absolute(options.output).parent_path()
                                                    : fs::absolute(options.model_dir);
  const fs::path normal = folder.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

EvaluateResult write_result(const EvaluateOptions& options,
                            std::span<const std::string> data_sha256,
                            results::Evaluation evaluation, std::int64_t num_rows) {
  EvaluateResult result{.output = options.output,
                        .save_scores = {},
                        .overall = {},
                        .summary = result_text(evaluation),
                        .num_rows = num_rows,
                        .num_bad_rows = evaluation.num_bad_rows};
  if (const auto overall = evaluation.overall.find("overall")) result.overall = overall->value;
  for (const std::string& warning : evaluation.warnings.value_or(std::vector<std::string>()))
    log::warning("{}", warning);
  evaluation.model = model_name(options);
  if (options.limit_per_subset > 0)
    evaluation.sampling = {.limit_per_subset = options.limit_per_subset, .seed = options.seed};
  evaluation.bootstrap = {.draws = options.bootstrap, .seed = options.seed};
  const ordered_json json = results::to_json(evaluation);
  results::write_result(options.output, json, results::evaluation_table(json));

  storage::Manifest manifest("evaluate");
  manifest.options(options, describe_command)
      .option("benchmark", benchmark_name(options.benchmark));
  if (!options.ratings.empty()) manifest.input(options.ratings);
  for (const fs::path& path : options.scores) manifest.input(path);
  for (const fs::path& path : options.scores_after) manifest.input(path);
  if (options.calibration) manifest.input(*options.calibration);
  for (std::size_t i = 0; i < options.data.size(); ++i)
    manifest.input_hashed(options.data[i], data_sha256[i]);
  // Read by comparisons.
  ordered_json scores = ordered_json::array();
  for (const fs::path& path : options.scores) scores.push_back(path.string());
  if (!options.model_dir.empty()) scores.push_back(saved_scores_path(options).string());
  manifest.extra("scores", scores);
  if (options.benchmark == Benchmark::kBestOfN) {
    ordered_json scores_after = ordered_json::array();
    for (const fs::path& path : options.scores_after) scores_after.push_back(path.string());
    manifest.extra("scores_after", scores_after);
  }
  if (!options.model_dir.empty()) {
    result.save_scores = saved_scores_path(options);
    manifest.input(result.save_scores, result.num_rows).option("model", options.model_dir.string());
    manifest.option("adapter", adapter_option(engine::resolve_model_source(options.model_dir,
                                                                           options.model.source)));
  }
  manifest.output(options.output, result.num_rows);
  storage::write_manifest(options.output, manifest);
  return result;
}

}  // namespace charm::evaluate
