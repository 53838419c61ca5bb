#include "charm/evaluate/picks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "charm/base/check.h"

namespace charm::evaluate {
namespace {

// C(k, n) / C(m, n): the share of subsets of n that lie within k of m candidates.
double subset_share(std::size_t k, std::size_t m, std::size_t n) {
  if (k < n) return 0.0;
  double share = 1.0;
  for (std::size_t i = 0; i < n; ++i)
    share *= static_cast<double>(k - i) / static_cast<double>(m - i);
  return share;
}

std::vector<std::size_t> ascending(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t one, std::size_t other) { return scores[one] < scores[other]; });
  return order;
}

// Mean over subsets of n - 1 of the other candidates of the product of their F: elementary
// symmetric polynomial e_(n-1) over C(m - 1, n - 1), by the recursion over candidates for means.
double mean_product(std::span<const double> cdfs, std::size_t skipped, std::size_t n) {
  std::vector<double> means(n, 0.0);  // [k] mean over subsets of k of the candidates so far
  means[0] = 1.0;
  std::size_t seen = 0;
  for (std::size_t j = 0; j < cdfs.size(); ++j) {
    if (j == skipped) continue;
    ++seen;
    for (std::size_t k = std::min(seen, n - 1); k >= 1; --k) {
      const double in = static_cast<double>(k) / static_cast<double>(seen);
      means[k] = (1.0 - in) * means[k] + in * cdfs[j] * means[k - 1];
    }
  }
  return means[n - 1];
}

}  // namespace

std::vector<double> pick_probabilities(std::span<const double> scores, std::size_t n) {
  const std::size_t m = scores.size();
  CHARM_CHECK(n >= 1 && n <= m, "{} of {} candidates", n, m);
  std::vector<double> probabilities(m, 0.0);
  const std::vector<std::size_t> order = ascending(scores);
  for (std::size_t first = 0; first < m;) {
    std::size_t last = first + 1;
    while (last < m && scores[order[last]] == scores[order[first]]) ++last;
    const double best_is_here = subset_share(last, m, n) - subset_share(first, m, n);
    for (std::size_t i = first; i < last; ++i)
      probabilities[order[i]] = best_is_here / static_cast<double>(last - first);
    first = last;
  }
  return probabilities;
}

double same_pick_probability(std::span<const double> scores, std::span<const double> other,
                             std::size_t n) {
  const std::size_t m = scores.size();
  CHARM_CHECK(other.size() == m && n >= 1 && n <= m, "{} of {} candidates", n, m);
  const auto is_better = [](std::span<const double> values, std::size_t i, std::size_t j) {
    return values[i] > values[j] || (values[i] == values[j] && i < j);
  };
  double probability = 0.0;
  for (std::size_t i = 0; i < m; ++i) {
    std::size_t worse = 0;
    for (std::size_t j = 0; j < m; ++j)
      worse += j != i && is_better(scores, i, j) && is_better(other, i, j) ? 1 : 0;
    // i and n - 1 of the candidates that are worse in both.
    probability += static_cast<double>(n) / static_cast<double>(m) *
                   (n == 1 ? 1.0 : subset_share(worse, m - 1, n - 1));
  }
  return probability;
}

std::vector<double> plackett_luce_picks(std::span<const double> log_strengths, std::size_t n) {
  const std::size_t m = log_strengths.size();
  CHARM_CHECK(n >= 1 && n <= m, "{} of {} candidates", n, m);
  constexpr double kStep = 0.1;
  const auto [lowest, highest] = std::ranges::minmax(log_strengths);
  const double from = lowest - 4.0, to = highest + 40.0;  // beyond: less than 1e-17
  std::map<double, std::size_t> representative;           // equal strengths have equal picks
  for (std::size_t i = 0; i < m; ++i) representative.try_emplace(log_strengths[i], i);
  std::vector<double> picks(m, 0.0);
  std::vector<double> cdfs(m);
  for (double u = from; u <= to; u += kStep) {
    for (std::size_t j = 0; j < m; ++j) cdfs[j] = std::exp(-std::exp(log_strengths[j] - u));
    for (const auto& [strength, i] : representative) {
      const double density = std::exp(strength - u) * cdfs[i];
      if (density > 0.0) picks[i] += kStep * density * mean_product(cdfs, i, n);
    }
  }
  // The factor n / m of all, and what the quadrature's ends leave, in one step.
  double sum = 0.0;
  for (std::size_t i = 0; i < m; ++i) {
    picks[i] = picks[representative.at(log_strengths[i])];
    sum += picks[i];
  }
  for (double& pick : picks) pick /= sum;
  return picks;
}

double best_of_n_kl(std::size_t n) {
  const auto count = static_cast<double>(n);
  return std::log(count) - (count - 1.0) / count;
}

}  // namespace charm::evaluate
