#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/base/strings.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/results/result_file.h"
#include "charm/stats/pair_table.h"
#include "charm/stats/vote_pairs.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"
#include "charm/storage/votes.h"

namespace charm::calibrate {
namespace {

using Json = nlohmann::ordered_json;

// Options that would silently change nothing.
void check_vote_options(const CalibrateOptions& options) {
  const SolveOptions& solve = options.solve;
  const auto refuse = [](bool is_given, std::string_view name) {
    if (is_given) throw Error(ErrorKind::kUsage, "{} has no meaning with --votes", name);
  };
  refuse(!options.scores.empty(), "--scores");
  refuse(options.write_scores.has_value(), "--write-scores");
  refuse(solve.mode.kind != ModeKind::kVotes && solve.mode.kind != ModeKind::kSamePrompt,
         "--mode " + mode_name(solve.mode));
  refuse(solve.solver != SolverKind::kExact, "--solver");
  refuse(solve.weights != PairWeights::kEqual, "--weights");
  refuse(solve.temperature != SolveOptions().temperature, "--temperature (it is fitted)");
  refuse(solve.shrink, "--shrink");
  refuse(options.leave_one_out, "--leave-one-out");
  refuse(options.strict, "--strict");
  refuse(options.ties == CalibrateTies::kLoss, "--ties loss");
  refuse(options.columns.any(), "--prompt-column, --response-column or --policy-column");
  const bool names_ratings =
      !options.category.empty() || !options.date.empty() || !options.aliases.empty();
  if (names_ratings && options.ratings.empty())
    throw Error(ErrorKind::kUsage, "--category, --date and --alias need --ratings");
  if (options.interval == IntervalKind::kBootstrap && solve.bootstrap < 1)
    throw Error(ErrorKind::kUsage, "--interval bootstrap needs --bootstrap of at least 1");
}

struct SplitVotes {
  std::vector<ScoredVote> fit;
  std::vector<ScoredVote> held_out;
};

SplitVotes split_votes(std::vector<ScoredVote> votes, const CalibrateOptions& options) {
  SplitVotes split;
  for (ScoredVote& vote : votes) {
    const bool is_out =
        options.holdout > 0.0 && stats::is_held_out(vote.vote, options.solve.seed, options.holdout);
    (is_out ? split.held_out : split.fit).push_back(std::move(vote));
  }
  if (options.holdout > 0.0 && (split.fit.empty() || split.held_out.empty())) {
    throw Error(ErrorKind::kInput, "holdout {} leaves {} votes to fit on and {} to check on",
                options.holdout, split.fit.size(), split.held_out.size());
  }
  return split;
}

std::size_t reference_index(const stats::VoteTable& table, const std::string& reference) {
  const auto place = std::find(table.policies.begin(), table.policies.end(), reference);
  if (place == table.policies.end()) {
    throw Error(ErrorKind::kUsage, "no votes on the reference '{}'; nearest names: {}", reference,
                fmt::join(nearest_names(reference, table.policies), ", "));
  }
  return static_cast<std::size_t>(place - table.policies.begin());
}

stats::VotePairOptions pair_options(const CalibrateOptions& options) {
  const bool is_bootstrap = options.interval == IntervalKind::kBootstrap;
  return {.intervals =
              is_bootstrap ? stats::PairIntervals::kBootstrap : stats::PairIntervals::kClustered,
          .ties = results::TieRule::kHalf,
          .bootstrap = options.solve.bootstrap,
          .seed = options.solve.seed,
          .num_threads = options.solve.num_threads};
}

void sort_pairs(std::vector<results::Pair> pairs, const std::string& reference,
                std::vector<results::Pair>& against_reference, std::vector<results::Pair>& others) {
  for (results::Pair& pair : pairs)
    (pair.reference == reference ? against_reference : others).push_back(std::move(pair));
}

// Style weights and temperature of a fit; without offsets.
stats::VoteCorrection correction_of(const results::VoteFit& fit) {
  stats::VoteCorrection correction;
  correction.temperature = fit.temperature.value;
  for (const results::StyleWeight& weight : fit.style_weights) {
    const auto place = std::ranges::find(kStyleNames, weight.feature);
    correction.style_weights[static_cast<std::size_t>(place - kStyleNames.begin())] =
        weight.weight.value;
  }
  return correction;
}

// On the held-out votes; their table may lack policies.
HeldOut check_held_out_votes(std::span<const ScoredVote> votes, const Calibration& calibration,
                             const CalibrateOptions& options) {
  const auto offset_of = [&](const std::string& name) {
    const auto place = std::ranges::find(calibration.policies, name, &CalibratedPolicy::policy);
    return place == calibration.policies.end() ? std::nullopt : std::optional(place->offset.value);
  };
  std::vector<ScoredVote> calibrated;
  std::ranges::copy_if(votes, std::back_inserter(calibrated), [&](const ScoredVote& vote) {
    return offset_of(vote.vote.model_a) && offset_of(vote.vote.model_b);
  });
  const stats::VoteTable table(calibrated, {.style = options.style, .policies = {}});
  stats::VoteCorrection correction = correction_of(*calibration.votes);
  for (const std::string& name : table.policies) correction.offsets.push_back(*offset_of(name));
  HeldOut held_out{.share = options.holdout,
                   .num_prompts = static_cast<std::int64_t>(table.num_prompts),
                   .mean = {},
                   .pairs = {},
                   .other_pairs = {}};
  sort_pairs(stats::vote_pairs(table, correction, pair_options(options)), calibration.reference,
             held_out.pairs, held_out.other_pairs);
  held_out.mean = stats::mean_mismatch(held_out.pairs, held_out.other_pairs);
  return held_out;
}

VoteFitOptions fit_options(const CalibrateOptions& options) {
  return {.ties = options.ties == CalibrateTies::kDavidson ? stats::TieModel::kDavidson
                                                           : stats::TieModel::kHalf,
          .style = options.style,
          .cluster = options.cluster,
          .interval = options.interval.value_or(IntervalKind::kSandwich),
          .bootstrap = options.solve.bootstrap,
          .seed = options.solve.seed,
          .num_threads = options.solve.num_threads,
          .min_clusters = options.min_prompts};
}

// Modelled - people's win rate of each pair, the mode's own.
void set_residuals(const stats::VoteTable& table, std::span<const double> expected,
                   std::vector<results::Pair>& pairs) {
  std::map<std::pair<std::string_view, std::string_view>, std::pair<double, double>> sums;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const std::string_view a = table.policies[table.rows[r].a], b = table.policies[table.rows[r].b];
    for (auto* sum : {&sums[{a, b}], &sums[{b, a}]}) sum->second += 1.0;
    sums[{a, b}].first += expected[r];
    sums[{b, a}].first += 1.0 - expected[r];
  }
  for (results::Pair& pair : pairs) {
    const auto& [sum, count] = sums.at({pair.policy, pair.reference});
    pair.residual = sum / count - pair.target.value;
  }
}

Calibration calibration_of(const stats::VoteTable& table, const VoteSolution& solution,
                           std::span<const ArenaRating> ratings, const CalibrateOptions& options) {
  Calibration calibration;
  calibration.options = options.solve;
  calibration.options.mode.kind = ModeKind::kVotes;
  calibration.options.ties = results::TieRule::kHalf;
  calibration.options.temperature = solution.fit.temperature.value;
  calibration.reference = options.reference;
  calibration.num_prompts = static_cast<std::int64_t>(table.num_prompts);
  calibration.votes = solution.fit;
  calibration.votes->holdout = options.holdout;
  calibration.warnings = solution.warnings;
  stats::VoteCorrection correction = correction_of(solution.fit);
  for (std::size_t p = 0; p < table.policies.size(); ++p) {
    correction.offsets.push_back(solution.offsets[p].value);
    calibration.policies.push_back({.policy = table.policies[p],
                                    .rating = ratings[p],
                                    .offset = solution.offsets[p],
                                    .offset_se = solution.offset_ses[p],
                                    .offset_interval = {},
                                    .offset_unshrunk = {},
                                    .shrinkage = {}});
  }
  auto pairs = stats::vote_pairs(table, correction, pair_options(options));
  set_residuals(table, solution.expected, pairs);
  sort_pairs(std::move(pairs), options.reference, calibration.pairs, calibration.other_pairs);
  calibration.mean = stats::mean_mismatch(calibration.pairs, calibration.other_pairs);
  return calibration;
}

}  // namespace

Calibration calibrate_votes(const CalibrateOptions& options, const ProgressFn& progress) {
  check_vote_options(options);
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.votes);
  require_distinct(options.output, options.ratings);
  const OutputLock lock(options.output);

  storage::Manifest manifest("calibrate");
  manifest.options(options, describe_command);
  storage::VoteInputs inputs = storage::read_vote_inputs(
      options.votes, options.style != StyleControl::kNone, options.max_bad_rows);
  for (const storage::InputFile& file : inputs.files)
    manifest.input_hashed(file.path, file.sha256, file.num_rows);
  const SplitVotes split = split_votes(std::move(inputs.votes), options);
  const stats::VoteTable table(split.fit, {.style = options.style, .policies = options.policies});
  const std::size_t reference = reference_index(table, options.reference);

  std::vector<ArenaRating> ratings = stats::vote_ratings(table);
  std::vector<ArenaRating> prior;
  if (!options.ratings.empty()) {
    const auto given = storage::read_ratings(options.ratings,
                                             {.category = options.category, .date = options.date});
    storage::warn_about_aliases(options.aliases, table.policies);
    prior = storage::match_ratings(table.policies, given, options.aliases, options.ratings);
    ratings = prior;
    const auto num_rows = static_cast<std::int64_t>(given.size());
    inputs.files.push_back({.path = options.ratings,
                            .sha256 = storage::sha256_of_path(options.ratings),
                            .num_rows = num_rows});
    manifest.input_hashed(options.ratings, inputs.files.back().sha256, num_rows);
  }
  const VoteSolution solution = fit_votes(table, reference, prior, fit_options(options), progress);
  Calibration calibration = calibration_of(table, solution, ratings, options);
  if (!split.held_out.empty())
    calibration.held_out = check_held_out_votes(split.held_out, calibration, options);
  for (const std::string& warning : calibration.warnings) log::warning("{}", warning);

  const Json json = results::to_json(calibration, results::inputs_json(inputs.files));
  results::write_result(options.output, json, json["policies"]);
  manifest.output(options.output, static_cast<std::int64_t>(calibration.policies.size()));
  storage::write_manifest(options.output, manifest);
  return calibration;
}

}  // namespace charm::calibrate
