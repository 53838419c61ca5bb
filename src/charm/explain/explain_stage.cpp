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
};

class InputReader {
 public:
  InputReader(storage::Manifest& manifest, const ExplainOptions& options,
              const ProgressFn& progress)
      : manifest_(manifest), options_(options), progress_(progress) {}

  storage::ReadOptions reading() const {
    return {.max_bad_rows = options_.max_bad_rows, .columns = options_.columns};
  }

  Inputs read(const std::optional<Split>& split) {
    if (split && !options_.held_out_scores.empty()) {
      throw Error(ErrorKind::kUsage,
                  "--held-out-scores: the calibration held out a share of {} of the prompts "
                  "itself; give the scores of all prompts by --scores only",
                  split->share);
    }
    for (const fs::path& path : options_.scores) {
      FeatureFileParts parts = read_features(path, reading(), split);
      add(path, parts.fit.rows.size() + parts.held_out.rows.size());
      if (split && (parts.fit.rows.empty() || parts.held_out.rows.empty())) {
        throw Error(ErrorKind::kInput,
                    "{}: the calibration's holdout of {} gives {} fit rows and {} held-out rows; "
                    "both must be non-empty",
                    path.string(), split->share, parts.fit.rows.size(), parts.held_out.rows.size());
      }
      inputs_.fit.push_back(std::move(parts.fit));
      if (split) inputs_.held_out.push_back(std::move(parts.held_out));
    }
    for (const fs::path& path : options_.held_out_scores) {
      inputs_.held_out.push_back(read_features(path, reading(), std::nullopt).fit);
      add(path, inputs_.held_out.back().rows.size());
    }
    return std::move(inputs_);
  }

 private:
  void add(const fs::path& path, std::size_t num_rows) {
    const auto rows = static_cast<std::int64_t>(num_rows);
    inputs_.files.push_back(
        {.path = path, .sha256 = storage::sha256_of_path(path), .num_rows = rows});
    manifest_.input_hashed(path, inputs_.files.back().sha256, rows);
    if (!progress_) return;
    progress_({.what = "reading responses",
               .done = static_cast<std::int64_t>(inputs_.files.size()),
               .total = static_cast<std::int64_t>(options_.scores.size() +
                                                  options_.held_out_scores.size()),
               .unit = "files",
               .detail = ""});
  }

  storage::Manifest& manifest_;
  const ExplainOptions& options_;
  const ProgressFn& progress_;
  Inputs inputs_;
};

// The policies to explain: with a calibration's own ratings only its policies.
std::vector<std::string> policies_of(const ExplainOptions& options, const Inputs& inputs,
                                     const std::optional<results::Calibration>& facts,
                                     std::vector<std::string>& warnings) {
  if (!facts || options.ratings) return {};
  std::vector<std::string> names;
  for (const results::CalibratedPolicy& one : facts->policies) names.push_back(one.policy);
  std::vector<std::string> others;
  for (const FeatureFile& file : inputs.fit) {
    for (const FeatureRow& row : file.rows) {
      const std::string& policy = row.score.policy;
      const auto known = [&](const auto& list) {
        return std::find(list.begin(), list.end(), policy) != list.end();
      };
      if (!known(names) && !known(others)) others.push_back(policy);
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
                         .min_differing = options.settings.min_differing,
                         .bootstrap = options.settings.bootstrap,
                         .seed = options.settings.seed,
                         .max_bad_rows = options.max_bad_rows,
                         .pairing = {.first_policy = facts.reference,
                                     .min_prompts = options.min_prompts,
                                     .strict = false,
                                     .policies = {}},
                         .held_out_pairing = {}};
  compare.solve.solver = results::SolverKind::kExact;
  compare.solve.shrink = false;
  compare.solve.num_threads = options.settings.num_threads;
  for (const results::CalibratedPolicy& one : facts.policies)
    compare.pairing.policies.push_back(one.policy);
  compare.held_out_pairing = compare.pairing;
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
  Inputs inputs =
      InputReader(manifest, options, progress).read(facts ? split_of(*facts) : std::nullopt);
  if (options.calibration) {
    inputs.files.push_back({.path = *options.calibration,
                            .sha256 = storage::sha256_of_path(*options.calibration),
                            .num_rows = static_cast<std::int64_t>(facts->policies.size())});
    manifest.input_hashed(*options.calibration, inputs.files.back().sha256,
                          inputs.files.back().num_rows);
  }

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
    for (const fs::path& path : *list) {
      inputs.files.push_back(
          {.path = path, .sha256 = storage::sha256_of_path(path), .num_rows = 0});
      manifest.input_hashed(path, inputs.files.back().sha256);
    }
  }
  for (const std::string& warning : result.warnings) log::warning("{}", warning);

  const Json json = to_json(result, results::inputs_json(inputs.files));
  results::write_result(options.output, json, json["pairs"]);
  manifest.output(options.output, static_cast<std::int64_t>(result.pairs.size()));
  storage::write_manifest(options.output, manifest);
  return result;
}

}  // namespace charm::explain
