#include "charm/evaluate/compare_stage.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/records/score.h"
#include "charm/results/result_file.h"
#include "charm/stats/vote_table.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/votes.h"

namespace charm::evaluate {
namespace {

void check_options(const CompareOptions& options) {
  if (options.runs.size() != 2) {
    throw Error(ErrorKind::kUsage, "--compare expects two runs, found {}", options.runs.size());
  }
  if (options.output.empty()) return;
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.runs);
}

std::vector<ScoredEvalItem> rows_of(const ComparedRun& run, const CompareOptions& options) {
  return read_benchmark(run.scores,
                        {.benchmark = run.benchmark, .max_bad_rows = options.max_bad_rows},
                        /*with_scores=*/true)
      .rows;
}

std::vector<Score> scores_of(const ComparedRun& run, const CompareOptions& options) {
  return storage::read_score_files(
      run.scores, {.max_bad_rows = options.max_bad_rows, .split = {}, .policy = {}});
}

/// The votes of a run; of a result on held-out prompts those alone.
std::vector<ScoredVote> votes_of(const ComparedRun& run, const CompareOptions& options) {
  std::vector<ScoredVote> votes =
      storage::read_vote_inputs(run.scores, /*with_styles=*/false, options.max_bad_rows).votes;
  if (run.holdout > 0.0) {
    std::erase_if(votes, [&](const ScoredVote& vote) {
      return !stats::is_held_out(vote.vote, run.seed, run.holdout);
    });
  }
  return votes;
}

void check_same_votes(const ComparedRun& a, const ComparedRun& b) {
  const auto share = [](const ComparedRun& run) {
    return run.holdout == 0.0
               ? std::string("all votes")
               : fmt::format("the held-out share {} of seed {}", run.holdout, run.seed);
  };
  if (share(a) == share(b)) return;
  throw Error(ErrorKind::kInput,
              "{} is on {}, {} on {}: evaluate both with the same --holdout and --seed", a.name,
              share(a), b.name, share(b));
}

/// From --ratings, else from a result JSON.
std::map<std::string, double> ratings_for(std::span<const Score> scores, const ComparedRun& a,
                                          const ComparedRun& b, const CompareOptions& options) {
  std::set<std::string> names;
  for (const Score& score : scores) names.insert(score.policy);
  if (options.ratings.empty()) {
    const std::map<std::string, double>& known = a.ratings.empty() ? b.ratings : a.ratings;
    if (known.empty()) {
      throw Error(ErrorKind::kUsage, "--compare of policies' scores needs --ratings");
    }
    if (!a.ratings.empty() && !b.ratings.empty() && a.ratings != b.ratings) {
      throw Error(ErrorKind::kInput,
                  "the two results used different ratings; give one ratings file by --ratings");
    }
    return known;
  }
  return ratings_of(names,
                    storage::read_ratings(options.ratings, {.category = options.ratings_category,
                                                            .date = options.ratings_date}),
                    options.aliases, options.ratings);
}

results::Comparison comparison_of_runs(const ComparedRun& a, const ComparedRun& b,
                                       const CompareOptions& options) {
  const BootstrapOptions bootstrap{.num_replicates = options.bootstrap, .seed = options.seed};
  switch (a.benchmark) {
    case Benchmark::kArena: {
      const std::vector<Score> scores = scores_of(a, options);
      return compare_arena(scores, scores_of(b, options), ratings_for(scores, a, b, options),
                           options.held_out_policies, bootstrap);
    }
    case Benchmark::kVotes:
      check_same_votes(a, b);
      return compare_votes(votes_of(a, options), votes_of(b, options), bootstrap);
    case Benchmark::kBestOfN:
      return compare_best_of_n(read_candidates(a.scores, options.max_bad_rows).rows,
                               scores_of(a, options), scores_of(b, options), bootstrap);
    default:
      return compare_rows(a.benchmark, rows_of(a, options), rows_of(b, options), bootstrap);
  }
}

std::string label_of(const ComparedRun& run, const fs::path& path) {
  return run.name == path.string() ? run.name : fmt::format("{} ({})", run.name, path.string());
}

void write_result(const CompareOptions& options, const ComparedRun& a, const ComparedRun& b,
                  const CompareResult& result) {
  results::Comparison comparison = result.comparison;
  comparison.a = {.name = a.name, .path = options.runs[0].string()};
  comparison.b = {.name = b.name, .path = options.runs[1].string()};
  comparison.bootstrap = {.draws = options.bootstrap, .seed = options.seed};
  const nlohmann::ordered_json json = results::to_json(comparison);
  results::write_result(options.output, json, results::evaluation_table(json));
  storage::Manifest manifest("evaluate");
  manifest.options(options, describe_command).option("benchmark", benchmark_name(result.benchmark));
  for (const ComparedRun* run : {&a, &b}) {
    for (const fs::path& path : run->scores) manifest.input(path);
  }
  if (!options.ratings.empty()) manifest.input(options.ratings);
  manifest.output(options.output, result.comparison.num_rows);
  storage::write_manifest(options.output, manifest);
}

}  // namespace

CompareResult compare(const CompareOptions& options) {
  check_options(options);
  std::optional<OutputLock> lock;
  if (!options.output.empty()) lock.emplace(options.output);
  ComparedRun a = find_run(options.runs[0], options.benchmark);
  ComparedRun b = find_run(options.runs[1], options.benchmark);
  if (a.name == b.name) {
    a.name = options.runs[0].string();
    b.name = options.runs[1].string();
  }
  if (a.benchmark != b.benchmark) {
    throw Error(ErrorKind::kInput,
                "{} is a run of {}, {} one of {}: both runs must be of the same benchmark",
                options.runs[0].string(), benchmark_name(a.benchmark), options.runs[1].string(),
                benchmark_name(b.benchmark));
  }
  if (a.benchmark != Benchmark::kArena &&
      !(options.ratings.empty() && options.held_out_policies.empty())) {
    throw Error(ErrorKind::kUsage, "--ratings and --left-out require benchmark arena");
  }
  CompareResult result;
  result.benchmark = a.benchmark;
  result.comparison = comparison_of_runs(a, b, options);
  if (const auto left_out = result.comparison.num_left_out.value_or(0); left_out > 0) {
    log::warning("{} {} carry an error in one of the runs and are dropped from both", left_out,
                 a.benchmark == Benchmark::kVotes ? "votes" : "responses");
  }
  result.summary = fmt::format("{}, {} rows\nA: {}\nB: {}\n", benchmark_name(result.benchmark),
                               result.comparison.num_rows, label_of(a, options.runs[0]),
                               label_of(b, options.runs[1])) +
                   comparison_text(result.comparison);
  if (!options.output.empty()) write_result(options, a, b, result);
  return result;
}

}  // namespace charm::evaluate
