#include "charm/measure/mismatch.h"

#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/outcomes.h"

namespace charm::measure {
namespace {

// An unordered pair; both ordered ones are read off it.
struct PairData {
  std::size_t first;
  std::size_t second;
  stats::PairRows rows;
  stats::Outcomes outcomes;
};

// What one resample gives for every pair.
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
  const auto seen = [&](const stats::WinCount& count) {
    return is_mirrored ? count.mirrored() : count;
  };
  const stats::WinCount count = seen(data.outcomes.count());

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

  std::vector<double> targets;
  std::vector<double> win_rates;
  std::vector<double> mismatches;
  for (const Replicate& replicate : replicates) {
    const stats::WinCount resampled = seen(replicate.counts[index]);
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
        fmt::format("{} rows of '{}' carry an error instead of a score and are left out",
                    policy.num_errors, policy.policy));
  }
  std::int64_t missing = 0;
  for (const PairData& pair : pairs) missing += pair.rows.missing_over + pair.rows.missing_ref;
  if (missing > 0) {
    warnings.push_back(
        fmt::format("{} rows have no partner in one of the pairs and are left out there; each pair "
                    "names its own count",
                    missing));
  }
  if (!exact.empty() && options.bootstrap > 0) {
    warnings.push_back(fmt::format("no rating interval for {}: taken as exact in the intervals",
                                   fmt::join(exact, ", ")));
  }
  return warnings;
}

}  // namespace

Mismatch measure_mismatch(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                          const MismatchOptions& options) {
  const std::size_t num_policies = scores.num_policies();
  if (num_policies < 2) {
    throw Error(ErrorKind::kInput, "the scores hold only policy '{}'; a mismatch needs two",
                scores.policy(0).policy);
  }
  if (options.bootstrap < 0) {
    throw Error(ErrorKind::kUsage, "bootstrap is {}, expected 0 or more resamples",
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
  mismatch.warnings = warnings_of(scores, ratings, pairs, options);
  return mismatch;
}

}  // namespace charm::measure
