#include "charm/evaluate/evaluate_stage.h"

#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/evaluate/arena.h"
#include "charm/evaluate/metrics.h"
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/evaluate/scored_rows.h"
#include "charm/results/evaluation.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"

namespace charm::evaluate {
namespace {

using nlohmann::ordered_json;

void check_options(const EvaluateOptions& options) {
  if (options.output.empty())
    throw Error(ErrorKind::kUsage, "--output is required: the result to write, .json or .csv");
  results::require_result_name(options.output);
  if (is_standard_output(options.output) && !options.model_dir.empty() &&
      options.save_scores.empty()) {
    throw Error(ErrorKind::kUsage, "--output -: name the file of the scores with --save-scores");
  }
  if (options.model_dir.empty() == options.scores.empty()) {
    throw Error(ErrorKind::kUsage,
                "evaluate: give either --model with --data, or --scores of an earlier run");
  }
  if (options.model_dir.empty() != options.data.empty()) {
    throw Error(ErrorKind::kUsage, "evaluate: --model and --data require each other");
  }
  const bool is_arena = options.benchmark == Benchmark::kArena;
  if (is_arena == options.ratings.empty()) {
    throw Error(ErrorKind::kUsage, "evaluate: --ratings {}",
                is_arena ? "is required for arena" : "requires benchmark arena");
  }
  if (!is_arena && (options.columns.prompt || options.columns.response || options.columns.policy)) {
    throw Error(ErrorKind::kUsage,
                "--prompt-column, --response-column and --policy-column are of arena's responses "
                "and scores; benchmarks have columns of their own");
  }
  if (is_arena && options.limit_per_subset > 0) {
    throw Error(ErrorKind::kUsage,
                "evaluate: --limit-per-subset requires a benchmark with subsets; arena has none");
  }
  if (options.limit_per_subset < 0 || options.bootstrap < 0 || options.max_bad_rows < 0) {
    throw Error(
        ErrorKind::kUsage,
        "evaluate: --limit-per-subset, --bootstrap and --max-bad-rows must not be negative");
  }
  require_writable(options.output);
  require_distinct(options.output, options.data);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.ratings);
}

std::string model_name(const EvaluateOptions& options) {
  if (!options.model_name.empty()) return options.model_name;
  const fs::path folder = options.model_dir.empty() ? fs::absolute(options.output).parent_path()
                                                    : fs::absolute(options.model_dir);
  const fs::path normal = folder.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

RewardBenchModel reward_bench_model(const EvaluateOptions& options) {
  RewardBenchModel model{.name = model_name(options)};
  if (options.encoder.template_file) {
    model.chat_template = options.encoder.template_file->stem().string();
  }
  return model;
}

void finish(const EvaluateOptions& options, std::span<const std::string> data_sha256,
            ordered_json body, EvaluateResult& result) {
  if (body.contains("warnings")) {
    for (const ordered_json& warning : body["warnings"]) {
      log::warning("{}", warning.get<std::string>());
    }
  }
  ordered_json json;
  json["version"] = results::kEvaluationVersion;
  json["benchmark"] = benchmark_name(options.benchmark);
  json["model"] = model_name(options);
  if (options.limit_per_subset > 0) {
    json["sampling"] = {{"limit_per_subset", options.limit_per_subset}, {"seed", options.seed}};
  }
  json.update(body);
  json["num_bad_rows"] = result.num_bad_rows;
  json["bootstrap"] = {{"draws", options.bootstrap}, {"seed", options.seed}};
  results::write_result(options.output, json, results::evaluation_table(json));

  storage::Manifest manifest("evaluate");
  manifest.options(options, describe_command)
      .option("benchmark", benchmark_name(options.benchmark));
  if (!options.ratings.empty()) manifest.input(options.ratings);
  for (const fs::path& path : options.scores) manifest.input(path);
  for (std::size_t i = 0; i < options.data.size(); ++i)
    manifest.input_hashed(options.data[i], data_sha256[i]);
  // Read by comparisons.
  ordered_json scores = ordered_json::array();
  for (const fs::path& path : options.scores) scores.push_back(path.string());
  if (!options.model_dir.empty()) scores.push_back(saved_scores_path(options).string());
  manifest.extra("scores", scores);
  if (!options.model_dir.empty()) {
    result.save_scores = saved_scores_path(options);
    manifest.input(result.save_scores, result.num_rows).option("model", options.model_dir.string());
    manifest.option("adapter", adapter_option(model::resolve_model_source(options.model_dir,
                                                                          options.model.source)));
  }
  manifest.output(options.output, result.num_rows);
  storage::write_manifest(options.output, manifest);
  result.output = options.output;
}

EvaluateResult evaluate_rows(const EvaluateOptions& options,
                             std::span<const std::string> data_sha256, const ProgressFn& progress) {
  const BenchmarkRows rows = scored_rows(options, data_sha256, progress);
  const BootstrapOptions bootstrap{.num_replicates = options.bootstrap, .seed = options.seed};
  const fs::path folder = fs::absolute(options.output).parent_path();
  EvaluateResult result;
  result.num_rows = static_cast<std::int64_t>(rows.rows.size());
  result.num_bad_rows = rows.num_bad_rows;
  const auto finish_with = [&](const auto& benchmark) {
    ordered_json body = to_json(benchmark);
    const PairDiagnostics diagnostics =
        pair_diagnostics(rows.rows, benchmark_metrics(options.benchmark, rows.rows), bootstrap);
    put_diagnostics(body, diagnostics);
    result.summary = result_text(benchmark) + result_text(diagnostics);
    finish(options, data_sha256, std::move(body), result);
    return result;
  };
  if (options.benchmark == Benchmark::kRmBench) {
    const RmBenchResult benchmark = rm_bench_result(rows.rows, bootstrap);
    if (benchmark.overall) result.overall = benchmark.overall->score.value;
    return finish_with(benchmark);
  }
  if (options.benchmark == Benchmark::kRewardBench2) {
    const RewardBench2Result benchmark = reward_bench_2_result(rows.rows, bootstrap);
    if (benchmark.overall) result.overall = benchmark.overall->value;
    if (options.reward_bench_files && !is_standard_output(options.output)) {
      write_reward_bench_2_files(folder, benchmark, rows.rows, reward_bench_model(options));
    }
    return finish_with(benchmark);
  }
  const RewardBenchResult benchmark = reward_bench_result(rows.rows, bootstrap);
  if (benchmark.overall) result.overall = benchmark.overall->value;
  if (options.reward_bench_files && !is_standard_output(options.output)) {
    write_reward_bench_files(folder, benchmark, rows.rows, reward_bench_model(options));
  }
  return finish_with(benchmark);
}

EvaluateResult evaluate_arena(const EvaluateOptions& options,
                              std::span<const std::string> data_sha256,
                              const ProgressFn& progress) {
  const std::vector<ArenaRating> ratings = storage::read_ratings(
      options.ratings, {.category = options.ratings_category, .date = options.ratings_date});
  const std::vector<Score> scores = arena_scores(options, data_sha256, progress);
  std::set<std::string> names;
  for (const Score& score : scores) names.insert(score.policy);
  const std::vector<std::string> policies(names.begin(), names.end());
  storage::warn_about_aliases(options.aliases, policies);
  std::map<std::string, double> rating_of_policy;
  for (const ArenaRating& rating :
       storage::match_ratings(policies, ratings, options.aliases, options.ratings)) {
    rating_of_policy[rating.name] = rating.rating_elo;
  }
  const ArenaResult arena = arena_result(
      scores, rating_of_policy, {.num_replicates = options.bootstrap, .seed = options.seed});
  EvaluateResult result;
  result.num_rows = static_cast<std::int64_t>(scores.size());
  for (const ArenaPolicy& policy : arena.policies) result.num_bad_rows += policy.num_errors;
  result.summary = result_text(arena);
  finish(options, data_sha256, to_json(arena), result);
  return result;
}

}  // namespace

EvaluateResult evaluate(const EvaluateOptions& options, const ProgressFn& progress) {
  check_options(options);
  const OutputLock lock(options.output);
  std::vector<std::string> data_sha256;
  for (const fs::path& path : options.data) {
    require_regular_file(path);
    data_sha256.push_back(storage::sha256_of_path(path));
  }
  return options.benchmark == Benchmark::kArena ? evaluate_arena(options, data_sha256, progress)
                                                : evaluate_rows(options, data_sha256, progress);
}

}  // namespace charm::evaluate
