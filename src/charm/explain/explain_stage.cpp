#include "charm/explain/explain_stage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/explain/method_comparison.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/score_inputs.h"

namespace charm::explain {
namespace {

using Json = nlohmann::ordered_json;

void check_options(const ExplainOptions& options) {
  if (options.scores.empty())
    throw Error(ErrorKind::kUsage, "no scores given; name one file for each policy with --scores");
  if (options.pairs == ExplainPairs::kReference && !options.calibration &&
      options.reference.empty()) {
    throw Error(ErrorKind::kUsage,
                "no reference policy given; name it with --reference, give the --calibration, or "
                "compare --pairs all");
  }
  if (options.calibration && !options.reference.empty()) {
    throw Error(ErrorKind::kUsage,
                "--reference and --calibration: the calibration has its own reference; give only "
                "one of them");
  }
  const bool has_benchmark = !options.reward_bench.empty() || !options.rm_bench.empty();
  if (!options.calibration && (has_benchmark || !options.held_out_scores.empty())) {
    throw Error(ErrorKind::kUsage,
                "--held-out-scores, --reward-bench and --rm-bench are used by the comparison of "
                "methods, which needs --calibration");
  }
}

// Ratings are members that only explanations need.
results::Calibration read_rated_calibration(const fs::path& path) {
  results::Calibration calibration = results::read_calibration(path);
  for (const results::CalibratedPolicy& policy : calibration.policies) {
    if (std::isfinite(policy.rating.rating_elo)) continue;
    throw Error(
        ErrorKind::kInput,
        "{}: policy '{}' has no member 'rating'; expected a file written by charm calibrate",
        path.string(), policy.policy);
  }
  return calibration;
}

// Of a calibration that held out a share of its prompts. One from votes has split votes, which the
// scores to explain need not share prompts with.
std::optional<Split> split_of(const results::Calibration& calibration) {
  if (calibration.votes || !calibration.held_out || calibration.held_out->share == 0.0)
    return std::nullopt;
  return Split{.share = calibration.held_out->share, .seed = calibration.options.seed};
}

struct Inputs {
  std::vector<FeatureFile> fit;
  std::vector<FeatureFile> held_out;
  std::vector<storage::InputFile> files;

  // `num_rows` 0: unknown.
  void add(const fs::path& path, std::int64_t num_rows, storage::Manifest& manifest) {
    files.push_back({.path = path, .sha256 = storage::sha256_of_path(path), .num_rows = num_rows});
    manifest.input_hashed(path, files.back().sha256, num_rows == 0 ? -1 : num_rows);
  }
};

Inputs read_inputs(const ExplainOptions& options, const std::optional<Split>& split,
                   const ProgressFn& progress, storage::Manifest& manifest) {
  if (split && !options.held_out_scores.empty()) {
    throw Error(ErrorKind::kUsage,
                "--held-out-scores: the calibration held out a share of {} of the prompts "
                "itself; give the scores of all prompts by --scores only",
                split->share);
  }
  Inputs inputs;
  const auto read = [&](const fs::path& path, const std::optional<Split>& by) {
    FeatureFileParts parts =
        read_features(path, {.max_bad_rows = options.max_bad_rows, .columns = options.columns}, by);
    const std::int64_t num_rows = std::ssize(parts.fit.rows) + std::ssize(parts.held_out.rows);
    inputs.add(path, num_rows, manifest);
    if (progress) {
      progress({.what = "reading responses",
                .done = std::ssize(inputs.files),
                .total = std::ssize(options.scores) + std::ssize(options.held_out_scores),
                .unit = "files",
                .detail = ""});
    }
    return parts;
  };
  for (const fs::path& path : options.scores) {
    FeatureFileParts parts = read(path, split);
    if (split && (parts.fit.rows.empty() || parts.held_out.rows.empty())) {
      throw Error(ErrorKind::kInput,
                  "{}: the calibration's holdout {} leaves {} rows to fit on and {} to check on",
                  path.string(), split->share, parts.fit.rows.size(), parts.held_out.rows.size());
    }
    inputs.fit.push_back(std::move(parts.fit));
    if (split) inputs.held_out.push_back(std::move(parts.held_out));
  }
  for (const fs::path& path : options.held_out_scores)
    inputs.held_out.push_back(read(path, std::nullopt).fit);
  return inputs;
}

// The policies to explain: with a calibration's own ratings only its policies.
std::vector<std::string> policies_of(const ExplainOptions& options, const Inputs& inputs,
                                     const std::optional<results::Calibration>& facts,
                                     std::vector<std::string>& warnings) {
  if (!facts || options.ratings) return {};
  std::vector<std::string> names, others;
  for (const results::CalibratedPolicy& one : facts->policies) names.push_back(one.policy);
  const auto has = [](const std::vector<std::string>& list, const std::string& policy) {
    return std::ranges::find(list, policy) != list.end();
  };
  for (const FeatureFile& file : inputs.fit) {
    for (const FeatureRow& row : file.rows) {
      if (!has(names, row.score.policy) && !has(others, row.score.policy))
        others.push_back(row.score.policy);
    }
  }
  if (!others.empty()) {
    warnings.push_back(
        fmt::format("not in the calibration and dropped: {}; give --ratings to include them",
                    fmt::join(others, ", ")));
  }
  return names;
}

std::vector<ArenaRating> ratings_of(const ExplainOptions& options,
                                    const std::optional<results::Calibration>& facts,
                                    const std::vector<std::string>& names,
                                    storage::Manifest& manifest) {
  if (options.ratings) {
    const auto all = storage::read_ratings(*options.ratings,
                                           {.category = options.category, .date = options.date});
    manifest.input(*options.ratings, static_cast<std::int64_t>(all.size()));
    storage::warn_about_aliases(options.aliases, names);
    return storage::match_ratings(names, all, options.aliases, *options.ratings);
  }
  if (!facts) return {};
  std::vector<ArenaRating> ratings;
  for (const results::CalibratedPolicy& one : facts->policies) ratings.push_back(one.rating);
  return storage::match_ratings(names, ratings, {}, *options.calibration);
}

MethodComparison compare(const ExplainOptions& options, const Inputs& inputs,
                         const results::Calibration& facts, std::vector<std::string>& warnings) {
  if (facts.options.solver != results::SolverKind::kExact) {
    warnings.push_back(
        "refitted offsets use the exact solver; those of the calibration are from adam");
  }
  CompareOptions compare{.solve = facts.options,
                         .offsets = facts.policies,
                         .reference = facts.reference,
                         .reward_bench = options.reward_bench,
                         .rm_bench = options.rm_bench,
                         .settings = options.settings,
                         .max_bad_rows = options.max_bad_rows,
                         .pairing = {.first_policy = facts.reference,
                                     .min_prompts = options.min_prompts,
                                     .strict = false,
                                     .policies = {}}};
  compare.solve.solver = results::SolverKind::kExact;
  compare.solve.shrink = false;
  compare.solve.num_threads = options.settings.num_threads;
  for (const results::CalibratedPolicy& one : facts.policies)
    compare.pairing.policies.push_back(one.policy);
  return compare_methods(inputs.fit, inputs.held_out, compare);
}

}  // namespace

Explanation explain(const ExplainOptions& options, const ProgressFn& progress) {
  check_options(options);
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.scores);
  require_distinct(options.output, options.held_out_scores);
  for (const auto* input : {&options.calibration, &options.ratings}) {
    if (*input) require_distinct(options.output, **input);
  }
  const OutputLock lock(options.output);
  storage::Manifest manifest("explain");
  manifest.options(options, describe_command)
      .option("ties", results::tie_rule_name(options.settings.ties));
  std::optional<results::Calibration> facts;
  if (options.calibration) facts = read_rated_calibration(*options.calibration);
  Inputs inputs = read_inputs(options, facts ? split_of(*facts) : std::nullopt, progress, manifest);
  if (facts) inputs.add(*options.calibration, std::ssize(facts->policies), manifest);

  Explanation result;
  result.reference = facts ? facts->reference : options.reference;
  const auto policies = policies_of(options, inputs, facts, result.warnings);
  const FeatureTable table(inputs.fit, {.first_policy = result.reference,
                                        .min_prompts = options.min_prompts,
                                        .strict = false,
                                        .policies = policies});
  const auto names = table.scores().names();
  result.num_prompts = static_cast<std::int64_t>(table.scores().num_prompts());
  const auto ratings = ratings_of(options, facts, names, manifest);
  if (facts && facts->num_prompts != result.num_prompts) {
    result.warnings.push_back(
        fmt::format("the offsets were fitted on {} prompts, these scores have {}: methods are "
                    "compared on other prompts than those of the fit",
                    facts->num_prompts, result.num_prompts));
  }
  ExplainSettings settings = options.settings;
  if (facts) settings.ties = facts->options.ties;
  result.ties = settings.ties;
  result.bootstrap = settings.bootstrap;
  result.seed = settings.seed;
  result.min_differing = settings.min_differing;
  for (const FeatureName& feature : kFeatures)
    result.features.emplace_back(feature.name, feature.meaning);
  const std::vector<results::CalibratedPolicy> offsets =
      facts ? facts->policies : std::vector<results::CalibratedPolicy>{};
  const auto add_pair = [&](std::size_t over, std::size_t ref) {
    result.pairs.push_back(
        explain_pair(table, over, ref, ratings, offsets, settings, result.warnings));
  };
  if (names.size() < 2) {
    throw Error(ErrorKind::kInput,
                "the scores contain only policy '{}'; an explanation compares two", names.front());
  }
  if (options.pairs == ExplainPairs::kReference) {
    const std::size_t ref = table.scores().index_of(result.reference);
    for (std::size_t p = 0; p < names.size(); ++p) {
      if (p != ref) add_pair(p, ref);
    }
  } else {
    for (std::size_t i = 0; i < names.size(); ++i) {
      for (std::size_t j = i + 1; j < names.size(); ++j) add_pair(i, j);
    }
  }
  if (facts) {
    MethodComparison comparison = compare(options, inputs, *facts, result.warnings);
    const auto& more = comparison.warnings;
    result.warnings.insert(result.warnings.end(), more.begin(), more.end());
    result.methods = std::move(comparison.methods);
    result.pooled = std::move(comparison.pooled);
  }
  for (const auto* list : {&options.reward_bench, &options.rm_bench}) {
    for (const fs::path& path : *list) inputs.add(path, /*num_rows=*/0, manifest);
  }
  for (const std::string& warning : result.warnings) log::warning("{}", warning);

  const Json json = to_json(result, results::inputs_json(inputs.files));
  results::write_result(options.output, json, json["pairs"]);
  manifest.output(options.output, static_cast<std::int64_t>(result.pairs.size()));
  storage::write_manifest(options.output, manifest);
  return result;
}

}  // namespace charm::explain
