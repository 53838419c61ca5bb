#include "charm/evaluate/evaluate_stage.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/evaluate/arena.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/evaluate/score_items.h"
#include "charm/storage/eval_writer.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::evaluate {
namespace {

using nlohmann::ordered_json;

void check_options(const EvaluateOptions& options) {
  if (options.output.empty()) throw Error(ErrorKind::kUsage, "evaluate: --output names no file");
  if (options.model_dir.empty() == options.scores.empty()) {
    throw Error(ErrorKind::kUsage,
                "evaluate: give either --model with --data, or --scores of an earlier run");
  }
  if (options.model_dir.empty() != options.data.empty()) {
    throw Error(ErrorKind::kUsage,
                "evaluate: --model and --data go together: the rows to score and what scores them");
  }
  const bool is_arena = options.benchmark == Benchmark::kArena;
  if (is_arena == options.ratings.empty()) {
    throw Error(ErrorKind::kUsage, "evaluate: --ratings {}",
                is_arena ? "is needed for arena" : "belongs to arena alone");
  }
  if (is_arena && options.limit_per_subset > 0) {
    throw Error(ErrorKind::kUsage,
                "evaluate: --limit-per-subset is for benchmarks with subsets, arena has none");
  }
  if (options.limit_per_subset < 0 || options.bootstrap < 0 || options.max_bad_rows < 0) {
    throw Error(
        ErrorKind::kUsage,
        "evaluate: --limit-per-subset, --bootstrap and --max-bad-rows must not be negative");
  }
  require_writable(options.output);
}

fs::path saved_scores_path(const EvaluateOptions& options) {
  if (!options.save_scores.empty()) return options.save_scores;
  fs::path path = options.output;
  path.replace_extension(".scores.parquet");
  return path;
}

std::string model_name(const EvaluateOptions& options) {
  if (!options.model_name.empty()) return options.model_name;
  const fs::path folder = options.model_dir.empty() ? fs::absolute(options.output).parent_path()
                                                    : fs::absolute(options.model_dir);
  const fs::path normal = folder.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

/// Everything that decides a score: the key of the journal and of the saved scores.
storage::Manifest scoring_manifest(const EvaluateOptions& options) {
  constexpr const char* kDTypes[] = {"auto", "float32", "bfloat16"};
  constexpr const char* kDevices[] = {"auto", "cpu", "cuda"};
  constexpr const char* kTruncations[] = {"left", "right", "error"};
  storage::Manifest manifest("evaluate");
  manifest.option("benchmark", benchmark_name(options.benchmark))
      .option("limit-per-subset", options.limit_per_subset)
      .option("dtype", kDTypes[static_cast<int>(options.model.dtype)])
      .option("device", kDevices[static_cast<int>(options.model.device)])
      .option("max-tokens", options.encoder.max_tokens)
      .option("truncation", kTruncations[static_cast<int>(options.encoder.truncation)])
      .option("bos", options.encoder.bos == text::BosPolicy::kOnce ? "once" : "as-template")
      .option("template-date", options.encoder.template_date)
      .option("pooling", options.scorer.pooling == score::Pooling::kAuto ? "auto" : "last")
      .seed(options.seed)
      .input(options.model_dir);
  if (options.encoder.template_file) manifest.input(*options.encoder.template_file);
  for (const fs::path& path : options.data) manifest.input(path);
  return manifest;
}

/// The fingerprint that the manifest beside a finished file carries; empty when there is none.
std::string finished_fingerprint(const fs::path& path) {
  if (!fs::exists(path) || !fs::exists(storage::manifest_path(path))) return {};
  const auto json = nlohmann::json::parse(read_file(storage::manifest_path(path)), nullptr,
                                          /*allow_exceptions=*/false);
  return json.is_object() ? json.value("scoring_fingerprint", "") : "";
}

/// Runs `score` unless the scores saved by a finished run are still valid for these options and
/// inputs. `score` gets the scoring function and the journal; it writes the file and returns its
/// number of rows.
void score_unless_finished(
    const EvaluateOptions& options, const ProgressFn& progress,
    const std::function<std::int64_t(const score::ScoreRowsFn&, storage::Journal&)>& score) {
  const fs::path saved = saved_scores_path(options);
  storage::require_known_extension(saved);
  require_writable(saved);
  storage::Manifest manifest = scoring_manifest(options);
  const std::string fingerprint = manifest.fingerprint();
  if (!options.fresh && finished_fingerprint(saved) == fingerprint) {
    log::info("{}: already scored with the same options and inputs; using it", saved.string());
    return;
  }
  storage::Journal journal(saved, fingerprint, options.fresh);
  const std::unique_ptr<model::RewardModel> model =
      model::load_reward_model(options.model_dir, options.model);
  const text::ConversationEncoder encoder(options.model_dir, options.encoder);
  const score::ScoreRowsFn score_rows = [&](std::span<const Response> rows,
                                     const score::ScoredFn& on_scored) {
    return score::score_responses(*model, encoder, rows, options.scorer, on_scored, progress);
  };
  const std::int64_t num_rows = score(score_rows, journal);
  ordered_json provenance = ordered_json::object();
  for (const auto& [key, value] : model->provenance()) provenance[key] = value;
  manifest.output(saved, num_rows)
      .extra("model", provenance)
      .extra("scoring_fingerprint", fingerprint);
  storage::write_manifest(saved, manifest);
  journal.remove();
}

void check_bad_rows(const std::vector<std::string>& errors, std::size_t num_rows,
                    const EvaluateOptions& options) {
  if (static_cast<std::int64_t>(errors.size()) > options.max_bad_rows) {
    throw Error(ErrorKind::kInput,
                "{} of {} rows could not be scored, --max-bad-rows is {}; the first: {}",
                errors.size(), num_rows, options.max_bad_rows, errors.front());
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(errors.size(), 5); ++i)
    log::warning("left out: {}", errors[i]);
}

/// The benchmark's scored rows: from a model, or as saved.
BenchmarkRows scored_rows(const EvaluateOptions& options, const ProgressFn& progress) {
  const ReadBenchmarkOptions reading{.benchmark = options.benchmark,
                                     .max_bad_rows = options.max_bad_rows};
  const auto shape = options.benchmark == Benchmark::kRmBench ? storage::EvalShape::kLists
                                                              : storage::EvalShape::kPair;
  if (options.model_dir.empty()) {
    BenchmarkRows read = read_benchmark(options.scores, reading, /*with_scores=*/true);
    read.rows = limit_per_subset(std::move(read.rows), options.limit_per_subset, options.seed);
    return read;
  }
  BenchmarkRows read = read_benchmark(options.data, reading, /*with_scores=*/false);
  const std::vector<ScoredEvalItem> rows =
      limit_per_subset(std::move(read.rows), options.limit_per_subset, options.seed);
  score_unless_finished(
      options, progress, [&](const score::ScoreRowsFn& score_rows, storage::Journal& journal) {
        const ScoredItems scored = score_items(rows, score_rows, journal);
        check_bad_rows(scored.errors, rows.size(), options);
        storage::write_eval_scores(saved_scores_path(options), scored.rows, shape);
        return static_cast<std::int64_t>(scored.rows.size());
      });
  const std::vector<fs::path> saved = {saved_scores_path(options)};
  BenchmarkRows result = read_benchmark(saved, reading, /*with_scores=*/true);
  result.num_bad_rows += read.num_bad_rows;
  return result;
}

std::vector<Score> arena_scores(const EvaluateOptions& options, const ProgressFn& progress) {
  const storage::ReadOptions reading{
      .max_bad_rows = options.max_bad_rows, .split = {}, .policy = {}};
  if (options.model_dir.empty()) return storage::read_score_files(options.scores, reading);
  score_unless_finished(
      options, progress, [&](const score::ScoreRowsFn& score_rows, storage::Journal& journal) {
        std::vector<Response> responses;
        std::vector<std::pair<fs::path, std::set<std::string>>> policies_of_files;
        for (const fs::path& path : options.data) {
          policies_of_files.emplace_back(path, std::set<std::string>{});
          for (Response& response : storage::read_responses(path, reading)) {
            policies_of_files.back().second.insert(response.policy);
            responses.push_back(std::move(response));
          }
        }
        storage::check_distinct_policies(policies_of_files);
        const std::vector<ScoredResponse> scored =
            score::score_responses_resumed(responses, score_rows, journal);
        std::vector<std::string> errors;
        for (const ScoredResponse& row : scored) {
          if (!row.error) continue;
          errors.push_back(fmt::format("prompt {} of {}: {}", row.response.prompt_id,
                                       row.response.policy, *row.error));
        }
        check_bad_rows(errors, scored.size(), options);
        storage::write_scores(saved_scores_path(options), scored);
        return static_cast<std::int64_t>(scored.size());
      });
  const std::vector<fs::path> saved = {saved_scores_path(options)};
  return storage::read_score_files(saved, reading);
}

std::string estimate_text(const Estimate& estimate) {
  return std::isfinite(estimate.lo)
             ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", estimate.value, estimate.lo, estimate.hi)
             : fmt::format("{:.4f}", estimate.value);
}

void finish(const EvaluateOptions& options, ordered_json body, EvaluateResult& result) {
  ordered_json json;
  json["benchmark"] = benchmark_name(options.benchmark);
  json["model"] = model_name(options);
  if (options.limit_per_subset > 0) {
    json["sampling"] = {{"limit_per_subset", options.limit_per_subset}, {"seed", options.seed}};
  }
  json.update(body);
  json["num_bad_rows"] = result.num_bad_rows;
  json["bootstrap"] = {{"draws", options.bootstrap}, {"seed", options.seed}};
  write_file(options.output, json.dump(2) + "\n");

  storage::Manifest manifest("evaluate");
  manifest.option("benchmark", benchmark_name(options.benchmark))
      .option("limit-per-subset", options.limit_per_subset)
      .option("bootstrap", options.bootstrap)
      .option("max-bad-rows", options.max_bad_rows)
      .seed(options.seed);
  if (!options.ratings.empty()) manifest.input(options.ratings);
  for (const fs::path& path : options.scores) manifest.input(path);
  for (const fs::path& path : options.data) manifest.input(path);
  if (!options.model_dir.empty()) {
    result.save_scores = saved_scores_path(options);
    manifest.input(result.save_scores, result.num_rows).option("model", options.model_dir.string());
  }
  manifest.output(options.output, result.num_rows);
  storage::write_manifest(options.output, manifest);
  result.output = options.output;
}

EvaluateResult evaluate_rows(const EvaluateOptions& options, const ProgressFn& progress) {
  const BenchmarkRows rows = scored_rows(options, progress);
  const BootstrapOptions bootstrap{.draws = options.bootstrap, .seed = options.seed};
  EvaluateResult result;
  result.num_rows = static_cast<std::int64_t>(rows.rows.size());
  result.num_bad_rows = rows.num_bad_rows;
  if (options.benchmark == Benchmark::kRmBench) {
    const RmBenchResult benchmark = rm_bench_result(rows.rows, bootstrap);
    if (benchmark.overall) result.overall = benchmark.overall->score.value;
    for (const RmBenchDomain& domain : benchmark.domains) {
      result.summary +=
          fmt::format("{}: {} (hard {:.4f}, normal {:.4f}, easy {:.4f}; {} rows, {} ties)\n",
                      domain.name, estimate_text(domain.score), domain.hard.value,
                      domain.normal.value, domain.easy.value, domain.num_rows, domain.ties);
    }
    result.summary += benchmark.overall
                          ? fmt::format("overall: {}\n", estimate_text(benchmark.overall->score))
                          : fmt::format("overall: none, {} missing; over the domains present: {}\n",
                                        fmt::join(benchmark.missing_domains, ", "),
                                        estimate_text(benchmark.overall_partial.score));
    finish(options, to_json(benchmark), result);
    return result;
  }
  const RewardBenchResult benchmark = reward_bench_result(rows.rows, bootstrap);
  if (benchmark.overall) result.overall = benchmark.overall->value;
  for (const SectionScore& section : benchmark.sections) {
    result.summary += fmt::format("{}: {} ({} rows)\n", section.name, estimate_text(section.score),
                                  section.num_rows);
  }
  result.summary +=
      benchmark.overall
          ? fmt::format("overall: {} ({} ties)\n", estimate_text(*benchmark.overall),
                        benchmark.ties)
          : fmt::format(
                "overall: none, a section is missing; over the sections present: {} ({} ties)\n",
                estimate_text(benchmark.overall_partial), benchmark.ties);
  if (options.reward_bench_files) {
    write_reward_bench_files(fs::absolute(options.output).parent_path(), benchmark, rows.rows,
                             model_name(options));
  }
  finish(options, to_json(benchmark), result);
  return result;
}

EvaluateResult evaluate_arena(const EvaluateOptions& options, const ProgressFn& progress) {
  const std::vector<ArenaRating> ratings =
      storage::read_ratings(options.ratings, {.category = options.ratings_category});
  const std::vector<Score> scores = arena_scores(options, progress);
  std::set<std::string> names;
  for (const Score& score : scores) names.insert(score.policy);
  const std::vector<std::string> policies(names.begin(), names.end());
  std::map<std::string, double> rating_of_policy;
  for (const ArenaRating& rating :
       storage::match_ratings(policies, ratings, options.aliases, options.ratings)) {
    rating_of_policy[rating.name] = rating.rating_elo;
  }
  const ArenaResult arena =
      arena_result(scores, rating_of_policy, {.draws = options.bootstrap, .seed = options.seed});
  EvaluateResult result;
  result.num_rows = static_cast<std::int64_t>(scores.size());
  for (const ArenaPolicy& policy : arena.policies) result.num_bad_rows += policy.num_errors;
  for (const auto& [name, values] :
       {std::pair{"mean score", arena.mean_score}, std::pair{"win rate", arena.win_rate}}) {
    result.summary +=
        fmt::format("{} against rating, {} policies: Spearman {}, Kendall {}, Pearson {}\n", name,
                    arena.policies.size(), estimate_text(values.spearman),
                    estimate_text(values.kendall), estimate_text(values.pearson));
  }
  finish(options, to_json(arena), result);
  return result;
}

}  // namespace

EvaluateResult evaluate(const EvaluateOptions& options, const ProgressFn& progress) {
  check_options(options);
  return options.benchmark == Benchmark::kArena ? evaluate_arena(options, progress)
                                                : evaluate_rows(options, progress);
}

}  // namespace charm::evaluate
