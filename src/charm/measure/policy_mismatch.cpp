#include <algorithm>
#include <cmath>
#include <optional>

#include "charm/measure/mismatch.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/elo.h"
#include "charm/stats/hypothesis_tests.h"
#include "charm/stats/interval.h"

namespace charm::measure {
namespace {

/// Standard error of the mean of MD over the references of one policy, if all win rates were at
/// their targets. Pair r contributes (w_r - e_r) / m_r with m_r = max(e_r, 1 - e_r); prompt g has
/// on it the influence
///     u_gr = sqrt(e_r (1 - e_r) / (w_r (1 - w_r))) sqrt(G / (G - 1)) sum over its rows of
///            (value - w_r) / (N m_r)
/// which rescales the observed variance to that of H0 and keeps the correlation between pairs. A
/// pair without variance (all wins or none) counts as e (1 - e) / G, fully correlated with all.
class NullError {
 public:
  NullError(std::size_t num_prompts, std::size_t num_policies)
      : influence_(num_prompts, 0.0), has_rows_(num_prompts, 0), slopes_(num_policies, 0.0) {}

  /// @param values  [row] 1 for a win of the policy
  void add(const stats::OrderedPair& ordered, std::span<const double> values, double target) {
    ++num_pairs_;
    const std::vector<std::uint32_t>& prompts = ordered.pair.rows.prompt;
    const double scale = std::max(target, 1.0 - target);
    const stats::ClusteredRate rate = stats::clustered_rate(values, prompts);
    for (const std::uint32_t prompt : prompts) has_rows_[prompt] = 1;
    const double null_variance = target * (1.0 - target), w = rate.rate;
    const auto clusters = static_cast<double>(rate.num_prompts);
    if (!(rate.se > 0.0) || w <= 0.0 || w >= 1.0) {
      without_variance_ += std::sqrt(null_variance / clusters) / scale;
    } else {
      const double factor =
          std::sqrt(null_variance / (w * (1.0 - w)) * clusters / (clusters - 1.0)) /
          (static_cast<double>(values.size()) * scale);
      for (std::size_t row = 0; row < values.size(); ++row)
        influence_[prompts[row]] += factor * (values[row] - w);
    }
    const double slope = stats::target_slope(target) / scale;
    slopes_[ordered.policy()] -= slope;
    slopes_[ordered.reference()] += slope;
  }

  double variance(std::span<const double> rating_errors) const {
    double prompts = 0.0, ratings = 0.0;
    for (const double u : influence_) prompts += u * u;
    for (std::size_t p = 0; p < slopes_.size(); ++p)
      ratings += std::pow(slopes_[p] * rating_errors[p], 2.0);
    const auto k = static_cast<double>(num_pairs_);
    return (std::pow(std::sqrt(prompts) + without_variance_, 2.0) + ratings) / (k * k);
  }

  std::int64_t num_prompts() const { return std::count(has_rows_.begin(), has_rows_.end(), 1); }

 private:
  std::vector<double> influence_;
  std::vector<char> has_rows_;
  std::vector<double> slopes_;  ///< [policy] of the sum of MDs, per Elo point
  double without_variance_ = 0.0;
  std::int64_t num_pairs_ = 0;
};

/// An ordered pair and its place in the table.
struct Place {
  std::size_t pair = 0;
  bool is_mirrored = false;
};

std::vector<Place> places_of(std::span<const stats::PolicyPair> pairs, std::size_t policy) {
  std::vector<Place> places;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    if (pairs[p].over == policy) places.push_back({p, false});
    if (pairs[p].ref == policy) places.push_back({p, true});
  }
  return places;
}

/// The policy's mean MD in one replicate; none if a pair has no prompt in it.
std::optional<double> replicate_mean(const stats::PairReplicate& replicate,
                                     std::span<const stats::PolicyPair> pairs,
                                     std::span<const Place> places, results::TieRule ties) {
  std::vector<double> mismatches;
  for (const Place& place : places) {
    const stats::WinCount& count = replicate.before[place.pair];
    if (count.total == 0.0) return std::nullopt;
    const stats::OrderedPair ordered{pairs[place.pair], place.is_mirrored};
    const double target = stats::target_win_rate(replicate.ratings[ordered.policy()],
                                                 replicate.ratings[ordered.reference()]);
    mismatches.push_back(stats::mismatch_degree(ordered.oriented(count).win_rate(ties), target));
  }
  return stats::mean(mismatches);
}

}  // namespace

double deviation_p_value(double value, double variance) {
  // Extreme rating differences round the target to 0 or 1 in double arithmetic.
  if (variance <= 0.0) return value == 0.0 ? 1.0 : 0.0;
  return stats::normal_p_value(value / std::sqrt(variance));
}

void add_policy_means(results::Mismatch& mismatch, std::span<const stats::PolicyPair> pairs,
                      const stats::PairTable& table, std::span<const ArenaRating> ratings,
                      std::span<const stats::PairReplicate> replicates, std::size_t num_prompts) {
  const std::vector<double> errors = stats::rating_errors(ratings);
  for (std::size_t policy = 0; policy < mismatch.policies.size(); ++policy) {
    const std::vector<Place> places = places_of(pairs, policy);
    NullError error(num_prompts, mismatch.policies.size());
    std::vector<double> mismatches;
    for (const Place& place : places) {
      const stats::OrderedPair ordered{pairs[place.pair], place.is_mirrored};
      const double target = stats::target_win_rate(ratings[ordered.policy()].rating_elo,
                                                   ratings[ordered.reference()].rating_elo);
      const std::vector<double> values =
          table.outcomes(place.pair).values(mismatch.ties, place.is_mirrored);
      mismatches.push_back(stats::mismatch_degree(stats::mean(values), target));
      error.add(ordered, values, target);
    }
    std::vector<double> means;
    for (const stats::PairReplicate& replicate : replicates) {
      if (const auto mean = replicate_mean(replicate, pairs, places, mismatch.ties))
        means.push_back(*mean);
    }
    results::MeasuredPolicy& result = mismatch.policies[policy];
    result.mean_mismatch = {.value = stats::mean(mismatches),
                            .ci95 = stats::replicate_interval(means)};
    result.num_prompts = error.num_prompts();
    result.test = results::MismatchTest{
        .p_value = deviation_p_value(result.mean_mismatch->value, error.variance(errors))};
  }
}

}  // namespace charm::measure
