#include "charm/measure/mismatch.h"

#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/elo.h"
#include "charm/stats/hypothesis_tests.h"
#include "charm/stats/outcomes.h"

namespace charm::measure {
namespace {

// An unordered pair; both ordered pairs are computed from it.
struct PairData {
  std::size_t first;
  std::size_t second;
  stats::PairRows rows;
  stats::Outcomes outcomes;
};

// One bootstrap replicate of every pair.
struct Replicate {
  std::vector<double> ratings;
  std::vector<stats::WinCount> counts;
};

std::optional<stats::Interval> interval(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return stats::percentile_interval(values);
}

std::vector<Replicate> run_bootstrap(std::span<const PairData> pairs,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const MismatchOptions& options) {
  std::vector<Replicate> replicates(static_cast<std::size_t>(options.bootstrap));
  stats::bootstrap(
      replicates.size(), options.seed, "measure", options.num_threads,
      [&](std::size_t index, RandomStream& stream) {
        const auto weights = stats::resample_prompts(num_prompts, stream);
        replicates[index].ratings = stats::draw_ratings(ratings, stream);
        for (const PairData& pair : pairs) {
          replicates[index].counts.push_back(pair.outcomes.count(pair.rows.prompt, weights));
        }
      });
  return replicates;
}

MismatchPair ordered_pair(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                          std::span<const PairData> pairs, std::size_t index, bool is_mirrored,
                          std::span<const Replicate> replicates, stats::TieRule ties) {
  const PairData& data = pairs[index];
  const std::size_t policy = is_mirrored ? data.second : data.first;
  const std::size_t reference = is_mirrored ? data.first : data.second;
  const auto oriented = [&](const stats::WinCount& count) {
    return is_mirrored ? count.mirrored() : count;
  };
  const stats::WinCount count = oriented(data.outcomes.count());

  MismatchPair pair;
  pair.policy = scores.policy(policy).policy;
  pair.reference = scores.policy(reference).policy;
  pair.num_prompts = data.rows.num_prompts;
  pair.num_rows = static_cast<std::int64_t>(data.rows.over.size());
  pair.missing_policy = is_mirrored ? data.rows.missing_ref : data.rows.missing_over;
  pair.missing_reference = is_mirrored ? data.rows.missing_over : data.rows.missing_ref;
  pair.target_win_rate =
      stats::target_win_rate(ratings[policy].rating_elo, ratings[reference].rating_elo);
  pair.win_rate = count.win_rate(ties);
  pair.mismatch = stats::mismatch_degree(pair.win_rate, pair.target_win_rate);
  pair.ties = std::llround(count.ties);

  const std::vector<double> errors = stats::rating_errors(ratings);
  const double target_se =
      stats::target_slope(pair.target_win_rate) * std::hypot(errors[policy], errors[reference]);
  pair.p_value = mismatch_p_value(
      stats::clustered_rate(data.outcomes.values(ties, is_mirrored), data.rows.prompt),
      pair.target_win_rate, target_se);

  std::vector<double> targets;
  std::vector<double> win_rates;
  std::vector<double> mismatches;
  for (const Replicate& replicate : replicates) {
    const stats::WinCount resampled = oriented(replicate.counts[index]);
    if (resampled.total == 0.0) continue;
    targets.push_back(
        stats::target_win_rate(replicate.ratings[policy], replicate.ratings[reference]));
    win_rates.push_back(resampled.win_rate(ties));
    mismatches.push_back(stats::mismatch_degree(win_rates.back(), targets.back()));
  }
  pair.target_ci95 = interval(targets);
  pair.win_rate_ci95 = interval(win_rates);
  pair.mismatch_ci95 = interval(mismatches);
  return pair;
}

void adjust_p_values(std::vector<MismatchPair>& pairs) {
  std::vector<double> p_values;
  for (const MismatchPair& pair : pairs) p_values.push_back(pair.p_value);
  const std::vector<double> holm = stats::holm_adjusted(p_values);
  const std::vector<double> hochberg = stats::benjamini_hochberg_adjusted(p_values);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].p_value_holm = holm[i];
    pairs[i].p_value_bh = hochberg[i];
  }
}

std::vector<std::string> warnings_of(const stats::PairedScores& scores,
                                     std::span<const ArenaRating> ratings,
                                     std::span<const PairData> pairs,
                                     const MismatchOptions& options) {
  std::vector<std::string> warnings;
  std::vector<std::string> exact;
  for (std::size_t p = 0; p < scores.num_policies(); ++p) {
    const stats::PolicyScores& policy = scores.policy(p);
    if (!ratings[p].rating_lo || !ratings[p].rating_hi) exact.push_back(policy.policy);
    if (policy.num_errors == 0) continue;
    warnings.push_back(
        fmt::format("{} rows of '{}' carry an error instead of a score and are dropped",
                    policy.num_errors, policy.policy));
  }
  std::int64_t missing = 0;
  for (const PairData& pair : pairs) missing += pair.rows.missing_over + pair.rows.missing_ref;
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

bool MismatchPair::is_significant() const { return p_value_holm < kSignificanceLevel; }

double mismatch_p_value(const stats::ClusteredRate& win_rate, double target, double target_se) {
  const double w = win_rate.rate;
  const bool is_degenerate = !(win_rate.se > 0.0) || w <= 0.0 || w >= 1.0;
  const double n = is_degenerate ? static_cast<double>(win_rate.num_prompts)
                                 : w * (1.0 - w) / (win_rate.se * win_rate.se);
  const double variance = target * (1.0 - target) / n + target_se * target_se;
  // Extreme rating differences round the target to 0 or 1 in double arithmetic.
  if (variance <= 0.0) return w == target ? 1.0 : 0.0;
  return stats::normal_p_value((w - target) / std::sqrt(variance));
}

Mismatch measure_mismatch(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                          const MismatchOptions& options) {
  const std::size_t num_policies = scores.num_policies();
  if (num_policies < 2) {
    throw Error(ErrorKind::kInput,
                "the scores contain only policy '{}'; a mismatch degree needs two",
                scores.policy(0).policy);
  }
  if (options.bootstrap < 0) {
    throw Error(ErrorKind::kUsage, "bootstrap is {}, expected 0 or more replicates",
                options.bootstrap);
  }
  std::vector<PairData> pairs;
  std::vector<std::size_t> index_of(num_policies * num_policies);
  for (std::size_t i = 0; i < num_policies; ++i) {
    for (std::size_t j = i + 1; j < num_policies; ++j) {
      stats::PairRows rows = scores.pair(i, j);
      stats::Outcomes outcomes(rows.over, rows.ref);
      index_of[i * num_policies + j] = index_of[j * num_policies + i] = pairs.size();
      pairs.push_back(
          {.first = i, .second = j, .rows = std::move(rows), .outcomes = std::move(outcomes)});
    }
  }
  const auto replicates = run_bootstrap(pairs, ratings, scores.num_prompts(), options);

  Mismatch mismatch;
  mismatch.ties = options.ties;
  mismatch.seed = options.seed;
  mismatch.bootstrap = options.bootstrap;
  mismatch.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  for (std::size_t i = 0; i < num_policies; ++i) {
    mismatch.policies.push_back({.scores = scores.policy(i), .rating = ratings[i]});
    for (std::size_t j = 0; j < num_policies; ++j) {
      if (i == j) continue;
      mismatch.pairs.push_back(ordered_pair(scores, ratings, pairs, index_of[i * num_policies + j],
                                            /*is_mirrored=*/i > j, replicates, options.ties));
    }
  }
  adjust_p_values(mismatch.pairs);
  mismatch.warnings = warnings_of(scores, ratings, pairs, options);
  return mismatch;
}

}  // namespace charm::measure
