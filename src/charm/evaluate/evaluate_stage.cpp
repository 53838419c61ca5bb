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
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/evaluate/scored_rows.h"
#include "charm/records/score.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"

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

EvaluateResult evaluate_rows(const EvaluateOptions& options,
                             std::span<const std::string> data_sha256, const ProgressFn& progress) {
  const auto [rows, num_bad_rows] = scored_rows(options, data_sha256, progress);
  const BootstrapOptions bootstrap{.num_replicates = options.bootstrap, .seed = options.seed};
  results::Evaluation evaluation = benchmark_result(options.benchmark, rows, bootstrap);
  evaluation.num_bad_rows = num_bad_rows;
  evaluation.pairs = pair_diagnostics(rows, benchmark_metrics(options.benchmark, rows), bootstrap);
  const bool is_reward_bench =
      options.benchmark == Benchmark::kRewardBench || options.benchmark == Benchmark::kRewardBench2;
  if (is_reward_bench && options.reward_bench_files && !is_standard_output(options.output)) {
    RewardBenchModel model{.name = model_name(options)};
    if (options.encoder.template_file)
      model.chat_template = options.encoder.template_file->stem().string();
    write_reward_bench_files(fs::absolute(options.output).parent_path(), evaluation, rows, model);
  }
  return write_result(options, data_sha256, std::move(evaluation), std::ssize(rows));
}

EvaluateResult evaluate_arena(const EvaluateOptions& options,
                              std::span<const std::string> data_sha256,
                              const ProgressFn& progress) {
  const std::vector<ArenaRating> ratings = storage::read_ratings(
      options.ratings, {.category = options.ratings_category, .date = options.ratings_date});
  const std::vector<Score> scores = arena_scores(options, data_sha256, progress);
  std::set<std::string> policies;
  std::int64_t num_errors = 0;
  for (const Score& score : scores) {
    policies.insert(score.policy);
    num_errors += score.error ? 1 : 0;
  }
  results::Evaluation evaluation =
      arena_result(scores, ratings_of(policies, ratings, options.aliases, options.ratings),
                   {.num_replicates = options.bootstrap, .seed = options.seed});
  evaluation.num_bad_rows = num_errors;
  return write_result(options, data_sha256, std::move(evaluation), std::ssize(scores));
}

}  // namespace

std::map<std::string, double> ratings_of(const std::set<std::string>& policies,
                                         std::span<const ArenaRating> ratings,
                                         const storage::Aliases& aliases, const fs::path& file) {
  const std::vector<std::string> names(policies.begin(), policies.end());
  storage::warn_about_aliases(aliases, names);
  std::map<std::string, double> rating_of;
  for (const ArenaRating& rating : storage::match_ratings(names, ratings, aliases, file))
    rating_of[rating.name] = rating.rating_elo;
  return rating_of;
}

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
