#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/output_lock.h"
#include "charm/measure/measure_stage.h"
#include "charm/measure/mismatch.h"
#include "charm/results/result_file.h"
#include "charm/stats/vote_pairs.h"
#include "charm/stats/vote_table.h"
#include "charm/storage/manifest.h"
#include "charm/storage/votes.h"

namespace charm::measure {
namespace {

void check_vote_options(const MeasureOptions& options) {
  const auto refuse = [](bool is_given, std::string_view name) {
    if (is_given) throw Error(ErrorKind::kUsage, "{} has no meaning with --votes", name);
  };
  refuse(!options.scores.empty(), "--scores");
  refuse(!options.ratings.empty(), "--ratings");
  refuse(options.strict, "--strict");
  refuse(options.holdout > 0.0, "--holdout");
  refuse(!options.category.empty(), "--category");
  refuse(!options.date.empty(), "--date");
  refuse(!options.aliases.empty(), "--alias");
  refuse(options.columns.any(), "--prompt-column, --response-column or --policy-column");
}

// Ratings are people's own, where the votes determine them.
std::vector<results::MeasuredPolicy> measured_policies(const stats::VoteTable& table) {
  std::vector<results::MeasuredPolicy> policies;
  for (const ArenaRating& rating : stats::vote_ratings(table))
    policies.push_back({.policy = rating.name, .rating = rating, .mean_mismatch = {}, .test = {}});
  for (const stats::VoteRow& row : table.rows) {
    for (const auto& [policy, score] : {std::pair{row.a, row.score_a}, {row.b, row.score_b}}) {
      policies[policy].mean_score += score;
      ++policies[policy].num_scores;
    }
  }
  for (results::MeasuredPolicy& policy : policies)
    policy.mean_score /= static_cast<double>(std::max<std::int64_t>(policy.num_scores, 1));
  return policies;
}

}  // namespace

results::Mismatch measure_votes(const MeasureOptions& options) {
  check_vote_options(options);
  results::require_result_name(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.votes);
  const OutputLock lock(options.output);
  storage::Manifest manifest("measure");
  manifest.options(options, describe_command);
  const storage::VoteInputs inputs =
      storage::read_vote_inputs(options.votes, /*with_styles=*/false, options.max_bad_rows);
  for (const storage::InputFile& file : inputs.files)
    manifest.input_hashed(file.path, file.sha256, file.num_rows);
  const stats::VoteTable table(inputs.votes, {});
  if (static_cast<std::int64_t>(table.num_prompts) < options.min_prompts) {
    throw Error(ErrorKind::kInput,
                "the votes are on {} prompts; expected at least {} (--min-prompts)",
                table.num_prompts, options.min_prompts);
  }
  const stats::VotePairOptions pairing{.ties = options.ties,
                                       .bootstrap = options.bootstrap,
                                       .seed = options.seed,
                                       .num_threads = options.num_threads};
  results::Mismatch mismatch;
  mismatch.ties = options.ties;
  mismatch.seed = options.seed;
  mismatch.bootstrap = options.bootstrap;
  mismatch.num_prompts = static_cast<std::int64_t>(table.num_prompts);
  mismatch.policies = measured_policies(table);
  mismatch.pairs = stats::vote_pairs(table, {}, pairing);
  mismatch.votes = stats::vote_agreement(table, pairing);
  mismatch.warnings = table.warnings();
  if (auto warning = tie_warning(mismatch.pairs)) mismatch.warnings.push_back(*std::move(warning));
  mismatch.prompts = options.prompts;
  write_mismatch(mismatch, options, inputs.files, manifest);
  return mismatch;
}

}  // namespace charm::measure
