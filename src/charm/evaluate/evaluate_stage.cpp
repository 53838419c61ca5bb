#include "charm/evaluate/evaluate_stage.h"

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
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/evaluate/scored_rows.h"
#include "charm/records/score.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"

namespace charm::evaluate {
namespace {

/// Benchmarks of saved scores alone.
bool needs_no_model(Benchmark benchmark) {
  return benchmark == Benchmark::kVotes || benchmark == Benchmark::kBestOfN;
}

void check_inputs(const EvaluateOptions& options) {
  if (needs_no_model(options.benchmark)) {
    if (!options.scores.empty() && options.model_dir.empty() && options.data.empty()) return;
    throw Error(ErrorKind::kUsage, "--benchmark {} takes --scores, no --model or --data",
                benchmark_name(options.benchmark));
  }
  if (options.model_dir.empty() == options.scores.empty()) {
    throw Error(ErrorKind::kUsage,
                "give either --model with --data, or --scores of an earlier run");
  }
  if (options.model_dir.empty() != options.data.empty()) {
    throw Error(ErrorKind::kUsage, "--model and --data require each other");
  }
}

void check_options(const EvaluateOptions& options) {
  if (options.output.empty())
    throw Error(ErrorKind::kUsage, "--output is required: the result to write, .json or .csv");
  results::require_result_name(options.output);
  if (is_standard_output(options.output) && !options.model_dir.empty() &&
      options.save_scores.empty()) {
    throw Error(ErrorKind::kUsage, "--output -: name the file of the scores with --save-scores");
  }
  check_inputs(options);
  const bool is_arena = options.benchmark == Benchmark::kArena;
  const bool is_best_of_n = options.benchmark == Benchmark::kBestOfN;
  if (!is_best_of_n && is_arena == options.ratings.empty()) {
    throw Error(ErrorKind::kUsage, "--ratings {}",
                is_arena ? "is required for arena" : "requires benchmark arena or best-of-n");
  }
  if (!is_arena && (options.columns.prompt || options.columns.response || options.columns.policy)) {
    throw Error(ErrorKind::kUsage,
                "--prompt-column, --response-column and --policy-column are of arena's responses "
                "and scores; benchmarks have columns of their own");
  }
  if (options.calibration && !needs_no_model(options.benchmark))
    throw Error(ErrorKind::kUsage, "--calibration requires benchmark votes or best-of-n");
  if (!options.scores_after.empty() && (!is_best_of_n || options.calibration)) {
    throw Error(ErrorKind::kUsage,
                "--scores-after requires benchmark best-of-n and excludes --calibration");
  }
  if (options.holdout != 0.0 && options.benchmark != Benchmark::kVotes)
    throw Error(ErrorKind::kUsage, "--holdout requires benchmark votes");
  if ((is_arena || needs_no_model(options.benchmark)) && options.limit_per_subset > 0) {
    throw Error(ErrorKind::kUsage,
                "--limit-per-subset requires a benchmark with subsets; {} has none",
                benchmark_name(options.benchmark));
  }
  require_writable(options.output);
  require_distinct(options.output, options.data);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.scores_after);
  require_distinct(options.output, options.ratings);
  if (options.calibration) require_distinct(options.output, *options.calibration);
}

RewardBenchModel reward_bench_model(const EvaluateOptions& options) {
  RewardBenchModel model{.name = model_name(options)};
  if (options.encoder.template_file) {
    model.chat_template = options.encoder.template_file->stem().string();
  }
  return model;
}

EvaluateResult evaluate_rows(const EvaluateOptions& options,
                             std::span<const std::string> data_sha256, const ProgressFn& progress) {
  const BenchmarkRows rows = scored_rows(options, data_sha256, progress);
  const BootstrapOptions bootstrap{.num_replicates = options.bootstrap, .seed = options.seed};
  const fs::path folder = fs::absolute(options.output).parent_path();
  EvaluateResult result;
  result.num_rows = static_cast<std::int64_t>(rows.rows.size());
  result.num_bad_rows = rows.num_bad_rows;
  const auto finish_with = [&](results::Evaluation evaluation, const std::string& text) {
    const PairDiagnostics diagnostics =
        pair_diagnostics(rows.rows, benchmark_metrics(options.benchmark, rows.rows), bootstrap);
    evaluation.pairs = numbers_of(diagnostics);
    if (const auto overall = evaluation.overall.find("overall")) result.overall = overall->value;
    result.summary = text + result_text(diagnostics);
    write_result(options, data_sha256, std::move(evaluation), result);
    return result;
  };
  if (options.benchmark == Benchmark::kRmBench) {
    const RmBenchResult benchmark = rm_bench_result(rows.rows, bootstrap);
    return finish_with(evaluation_of(benchmark), result_text(benchmark));
  }
  if (options.benchmark == Benchmark::kRewardBench2) {
    const RewardBench2Result benchmark = reward_bench_2_result(rows.rows, bootstrap);
    if (options.reward_bench_files && !is_standard_output(options.output)) {
      write_reward_bench_2_files(folder, benchmark, rows.rows, reward_bench_model(options));
    }
    return finish_with(evaluation_of(benchmark), result_text(benchmark));
  }
  if (options.benchmark != Benchmark::kRewardBench) {
    const PairBenchmarkResult benchmark =
        pair_benchmark_result(options.benchmark, rows.rows, bootstrap);
    return finish_with(evaluation_of(options.benchmark, benchmark), result_text(benchmark));
  }
  const RewardBenchResult benchmark = reward_bench_result(rows.rows, bootstrap);
  if (options.reward_bench_files && !is_standard_output(options.output)) {
    write_reward_bench_files(folder, benchmark, rows.rows, reward_bench_model(options));
  }
  return finish_with(evaluation_of(benchmark), result_text(benchmark));
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
  write_result(options, data_sha256, evaluation_of(arena), result);
  return result;
}

}  // namespace

void warn_of_scoring_options(const EvaluateOptions& options) {
  if (!options.model_dir.empty()) return;
  const auto describe = [](OptionTable& table, EvaluateOptions& of) {
    engine::describe_model(table, of.model);
    text::describe_encoder(table, of.encoder);
    score::describe_scorer(table, of.scorer);
  };
  EvaluateOptions own = options, defaults;
  OptionTable given, initial;
  describe(given, own);
  describe(initial, defaults);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < given.options().size(); ++i) {
    const Option& option = given.options()[i];
    if (option.value() != initial.options()[i].value()) names.push_back("--" + option.name);
  }
  if (names.empty()) return;
  log::warning("{} without effect: the scores are saved ones, computed with options of their own",
               fmt::join(names, ", "));
}

EvaluateResult evaluate(const EvaluateOptions& options, const ProgressFn& progress) {
  check_options(options);
  const OutputLock lock(options.output);
  std::vector<std::string> data_sha256;
  for (const fs::path& path : options.data) {
    require_regular_file(path);
    data_sha256.push_back(storage::sha256_of_path(path));
  }
  switch (options.benchmark) {
    case Benchmark::kArena:
      return evaluate_arena(options, data_sha256, progress);
    case Benchmark::kVotes:
      return evaluate_votes(options);
    case Benchmark::kBestOfN:
      return evaluate_best_of_n(options);
    default:
      return evaluate_rows(options, data_sha256, progress);
  }
}

}  // namespace charm::evaluate
