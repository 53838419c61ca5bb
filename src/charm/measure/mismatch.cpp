#include "charm/measure/mismatch.h"

#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/elo.h"
#include "charm/stats/hypothesis_tests.h"
#include "charm/stats/pair_table.h"

namespace charm::measure {
namespace {

std::vector<stats::PairReplicate> run_bootstrap(const stats::PairTable& table,
                                                std::span<const ArenaRating> ratings,
                                                std::size_t num_prompts,
                                                const MismatchOptions& options) {
  std::vector<stats::PairReplicate> replicates(static_cast<std::size_t>(options.bootstrap));
  stats::bootstrap_pairs(replicates.size(), options.seed, options.num_threads, num_prompts, ratings,
                         [&](std::size_t index, stats::PairResample&& drawn, RandomStream&) {
                           replicates[index].before = table.counts(drawn.weights);
                           replicates[index].ratings = std::move(drawn.ratings);
                         });
  return replicates;
}

// p-value of an ordered pair; `errors` of the ratings.
double pair_p_value(const stats::OrderedPair& ordered, const stats::Outcomes& outcomes,
                    double target, std::span<const double> errors, stats::TieRule ties) {
  const double target_se = stats::target_slope(target) *
                           std::hypot(errors[ordered.policy()], errors[ordered.reference()]);
  const auto rate =
      stats::clustered_rate(outcomes.values(ties, ordered.is_mirrored), ordered.pair.rows.prompt);
  return mismatch_p_value(rate, target, target_se);
}

/// Corrects for the number of `tested`: all ordered pairs, or all policies.
template <typename Tested>
void adjust_p_values(std::vector<Tested>& tested) {
  std::vector<double> p_values;
  for (const Tested& one : tested) p_values.push_back(one.test->p_value);
  const std::vector<double> holm = stats::holm_adjusted(p_values);
  const std::vector<double> hochberg = stats::benjamini_hochberg_adjusted(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    tested[i].test->p_value_holm = holm[i];
    tested[i].test->p_value_bh = hochberg[i];
  }
}

std::vector<std::string> warnings_of(const stats::PairedScores& scores,
                                     std::span<const ArenaRating> ratings,
                                     std::span<const stats::PolicyPair> pairs,
                                     const MismatchOptions& options) {
  std::vector<std::string> warnings;
  std::vector<std::string> exact;
  for (std::size_t p = 0; p < scores.num_policies(); ++p) {
    const stats::PolicyScores& policy = scores.policy(p);
    if (!ratings[p].rating_lo || !ratings[p].rating_hi) exact.push_back(policy.policy);
  }
  if (std::string dropped = stats::dropped_rows_text(scores); !dropped.empty())
    warnings.push_back(std::move(dropped));
  std::int64_t missing = 0;
  for (const stats::PolicyPair& pair : pairs)
    missing += pair.rows.missing_over + pair.rows.missing_ref;
  if (missing > 0) {
    warnings.push_back(
        fmt::format("{} rows have no counterpart in one of the pairs and are dropped there; each "
                    "pair reports its own count",
                    missing));
  }
  if (!exact.empty() && options.bootstrap > 0) {
    warnings.push_back(fmt::format("no rating interval for {}: taken as exact in the intervals",
                                   fmt::join(exact, ", ")));
  }
  return warnings;
}

}  // namespace

double mismatch_p_value(const stats::ClusteredRate& win_rate, double target, double target_se) {
  const double w = win_rate.rate;
  const bool is_degenerate = !(win_rate.se > 0.0) || w <= 0.0 || w >= 1.0;
  const double n = is_degenerate ? static_cast<double>(win_rate.num_prompts)
                                 : w * (1.0 - w) / (win_rate.se * win_rate.se);
  return deviation_p_value(w - target, target * (1.0 - target) / n + target_se * target_se);
}

std::optional<std::string> tie_warning(std::span<const results::Pair> pairs) {
  std::vector<std::string> tied;
  std::int64_t num_rows = 0, num_tied = 0;
  for (const results::Pair& pair : pairs) {
    if (pair.num_rows == 0 || pair.before.ties < pair.num_rows) continue;
    ++num_tied;
    num_rows += pair.num_rows;
    if (pair.policy < pair.reference)
      tied.push_back(fmt::format("'{}' and '{}'", pair.policy, pair.reference));
  }
  if (num_tied == 0) return std::nullopt;
  if (num_tied == std::ssize(pairs)) {
    return fmt::format(
        "the scores of all pairs tie on all {} rows, so every win rate is that of the tie rule: "
        "the scores do not depend on the responses; charm inspect --sample shows what the reward "
        "model reads",
        num_rows);
  }
  return fmt::format(
      "the scores of {} tie on all rows: they may be the same responses under two names",
      fmt::join(tied, ", of "));
}

results::Mismatch measure_mismatch(const stats::PairedScores& scores,
                                   std::span<const ArenaRating> ratings,
                                   const MismatchOptions& options) {
  const std::size_t num_policies = scores.num_policies();
  if (num_policies < 2) {
    throw Error(ErrorKind::kInput,
                "the scores contain only policy '{}'; a mismatch degree needs two",
                scores.policy(0).policy);
  }
  const auto pairs = stats::policy_pairs(scores, ratings);
  const stats::PairTable table(pairs);
  const auto replicates = run_bootstrap(table, ratings, scores.num_prompts(), options);
  const std::vector<double> errors = stats::rating_errors(ratings);

  results::Mismatch mismatch;
  mismatch.ties = options.ties;
  mismatch.seed = options.seed;
  mismatch.bootstrap = options.bootstrap;
  mismatch.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  for (std::size_t p = 0; p < num_policies; ++p) {
    const stats::PolicyScores& policy = scores.policy(p);
    mismatch.policies.push_back({.policy = policy.policy,
                                 .rating = ratings[p],
                                 .mean_score = policy.mean_score,
                                 .num_scores = policy.num_scores,
                                 .num_errors = policy.num_errors,
                                 .mean_mismatch = {},
                                 .num_prompts = 0,
                                 .test = {}});
  }
  mismatch.pairs = stats::ordered_results(
      {.pairs = pairs,
       .names = scores.names(),
       .ratings = ratings,
       .before = table,
       .replicates = replicates,
       .ties = options.ties},
      [&](const stats::OrderedPair& ordered, std::size_t pair, results::Pair& result) {
        result.test = {.p_value = pair_p_value(ordered, table.outcomes(pair), result.target.value,
                                               errors, options.ties)};
      });
  adjust_p_values(mismatch.pairs);
  add_policy_means(mismatch, pairs, table, ratings, replicates, scores.num_prompts());
  adjust_p_values(mismatch.policies);
  mismatch.warnings = warnings_of(scores, ratings, pairs, options);
  if (auto warning = tie_warning(mismatch.pairs)) mismatch.warnings.push_back(*std::move(warning));
  return mismatch;
}

}  // namespace charm::measure
