#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "charm/base/error.h"
#include "charm/evaluate/best_of_n.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/votes.h"
#include "charm/results/calibration.h"
#include "charm/results/fields.h"
#include "charm/results/result_file.h"
#include "charm/stats/vote_table.h"
#include "charm/storage/manifest.h"
#include "charm/storage/votes.h"

namespace charm::evaluate {
namespace {

using nlohmann::ordered_json;

/// The calibration and the hashes of what it was made from.
struct CalibrationInput {
  results::Calibration calibration;
  std::set<std::string> input_sha256;
};

std::optional<CalibrationInput> read_calibration_input(const EvaluateOptions& options) {
  if (!options.calibration) return std::nullopt;
  const ordered_json json = results::read_json(*options.calibration, "charm calibrate");
  CalibrationInput input{
      .calibration = results::read_calibration(json, options.calibration->string()),
      .input_sha256 = {}};
  for (const results::InputFile& file : results::read_inputs(json))
    input.input_sha256.insert(file.sha256);
  return input;
}

/// Whether the evaluated votes were held out of the calibration's fit.
bool is_held_out_of(const results::Calibration& calibration, const EvaluateOptions& options) {
  return calibration.votes && options.holdout > 0.0 &&
         options.holdout <= calibration.votes->holdout && options.seed == calibration.options.seed;
}

void warn_about_same_votes(const CalibrationInput& input, std::span<const storage::InputFile> files,
                           const EvaluateOptions& options, std::vector<std::string>& warnings) {
  for (const storage::InputFile& file : files) {
    if (!input.input_sha256.contains(file.sha256)) continue;
    if (is_held_out_of(input.calibration, options)) continue;
    warnings.push_back(fmt::format(
        "the calibration was fitted to these votes ({}): results with offsets are optimistic; "
        "calibrate with --holdout X and evaluate with the same --holdout and --seed",
        file.path.string()));
  }
}

/// Drops candidates of policies without an offset.
void correct_by_offsets(const results::Calibration& calibration, std::vector<Candidate>& rows,
                        std::vector<std::string>& warnings) {
  std::map<std::string, double> offsets;
  for (const results::CalibratedPolicy& policy : calibration.policies)
    offsets[policy.policy] = policy.offset.value;
  std::set<std::string> dropped;
  std::erase_if(rows, [&](const Candidate& row) {
    if (offsets.contains(row.policy)) return false;
    dropped.insert(row.policy);
    return true;
  });
  if (!dropped.empty()) {
    warnings.push_back(
        fmt::format("the calibration has no offset for: {}; their responses are dropped",
                    fmt::join(dropped, ", ")));
  }
  for (Candidate& row : rows) row.score_after = row.score + offsets.at(row.policy);
}

void correct_by_scores(const EvaluateOptions& options, std::vector<Candidate>& rows) {
  std::map<std::tuple<std::string, std::string, std::int32_t>, double> after;
  for (const Candidate& row : read_candidates(options.scores_after, options.max_bad_rows).rows)
    after[{row.policy, row.prompt_id, row.sample}] = row.score;
  for (Candidate& row : rows) {
    const auto place = after.find({row.policy, row.prompt_id, row.sample});
    if (place == after.end()) {
      throw Error(ErrorKind::kInput,
                  "--scores-after has no score of policy '{}', prompt {}, sample {}", row.policy,
                  row.prompt_id, row.sample);
    }
    row.score_after = place->second;
  }
}

/// Given ratings, or those of the calibration where it has all; by policy.
std::map<std::string, double> implied_ratings(const EvaluateOptions& options,
                                              const std::optional<CalibrationInput>& input,
                                              std::span<const Candidate> rows) {
  std::set<std::string> policies;
  for (const Candidate& row : rows) policies.insert(row.policy);
  if (!options.ratings.empty()) {
    return ratings_of(policies,
                      storage::read_ratings(options.ratings, {.category = options.ratings_category,
                                                              .date = options.ratings_date}),
                      options.aliases, options.ratings);
  }
  std::map<std::string, double> ratings;
  if (!input) return ratings;
  for (const results::CalibratedPolicy& policy : input->calibration.policies) {
    if (std::isfinite(policy.rating.rating_elo)) ratings[policy.policy] = policy.rating.rating_elo;
  }
  const bool is_complete = std::ranges::all_of(
      policies, [&](const std::string& policy) { return ratings.contains(policy); });
  return is_complete ? ratings : std::map<std::string, double>();
}

BootstrapOptions bootstrap_options(const EvaluateOptions& options) {
  return {.num_replicates = options.bootstrap, .seed = options.seed};
}

}  // namespace

EvaluateResult evaluate_votes(const EvaluateOptions& options) {
  const std::optional<CalibrationInput> input = read_calibration_input(options);
  std::optional<results::Calibration> calibration;
  if (input) calibration = input->calibration;
  const bool with_styles =
      calibration && calibration->votes && !calibration->votes->style_weights.empty();
  storage::VoteInputs inputs =
      storage::read_vote_inputs(options.scores, with_styles, options.max_bad_rows);
  if (options.holdout > 0.0) {
    std::erase_if(inputs.votes, [&](const ScoredVote& vote) {
      return !stats::is_held_out(vote.vote, options.seed, options.holdout);
    });
  }
  results::Evaluation evaluation =
      votes_result(inputs.votes, calibration, bootstrap_options(options));
  if (input) warn_about_same_votes(*input, inputs.files, options, *evaluation.warnings);
  evaluation.num_bad_rows = std::ranges::count_if(
      inputs.votes, [](const ScoredVote& vote) { return vote.error.has_value(); });
  evaluation.holdout = options.holdout;
  const auto num_votes = evaluation.overall.find("num_votes")->value;
  return write_result(options, {}, std::move(evaluation), static_cast<std::int64_t>(num_votes));
}

EvaluateResult evaluate_best_of_n(const EvaluateOptions& options) {
  const std::optional<CalibrationInput> input = read_calibration_input(options);
  auto [rows, num_errors] = read_candidates(options.scores, options.max_bad_rows);
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(Benchmark::kBestOfN))};
  evaluation.warnings.emplace();
  if (input) correct_by_offsets(input->calibration, rows, *evaluation.warnings);
  if (!options.scores_after.empty()) correct_by_scores(options, rows);
  evaluation.picks =
      best_of_n_audit(rows, implied_ratings(options, input, rows), bootstrap_options(options));
  evaluation.overall.add_count("num_prompts", evaluation.picks.front().num_prompts);
  evaluation.overall.add_count("num_candidates", std::ssize(rows));
  evaluation.overall.add_count("num_errors", num_errors);
  evaluation.num_bad_rows = num_errors;
  return write_result(options, {}, std::move(evaluation), std::ssize(rows));
}

}  // namespace charm::evaluate
