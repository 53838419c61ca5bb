#include "charm/stats/hypothesis_tests.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace charm::stats {
namespace {

/// P(X >= x) of a chi-square with one degree of freedom.
double chi_square_tail(double x) { return std::erfc(std::sqrt(0.5 * x)); }

double exact_p_value(std::int64_t fewer, std::int64_t total) {
  double term = std::pow(0.5, static_cast<double>(total));  // C(total, 0) / 2^total
  double below = 0.0;
  for (std::int64_t i = 0; i <= fewer; ++i) {
    below += term;
    term *= static_cast<double>(total - i) / static_cast<double>(i + 1);
  }
  return std::min(1.0, 2.0 * below);
}

}  // namespace

double normal_p_value(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

McNemar mcnemar_test(std::int64_t gained, std::int64_t lost) {
  const std::int64_t total = gained + lost;
  if (total < kExactDiscordant) {
    return {.statistic = {}, .p_value = exact_p_value(std::min(gained, lost), total)};
  }
  const double excess = std::abs(static_cast<double>(gained - lost)) - 1.0;
  const double statistic = excess * excess / static_cast<double>(total);
  return {.statistic = statistic, .p_value = chi_square_tail(statistic)};
}

McNemar clustered_mcnemar_test(std::span<const double> differences) {
  double sum = 0.0, squares = 0.0;
  for (const double difference : differences) {
    sum += difference;
    squares += difference * difference;
  }
  if (squares == 0.0) return {.statistic = 0.0, .p_value = 1.0};
  const double statistic = sum * sum / squares;
  return {.statistic = statistic, .p_value = chi_square_tail(statistic)};
}

namespace {

std::vector<std::size_t> ascending(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

}  // namespace

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  const std::vector<std::size_t> order = ascending(p_values);
  std::vector<double> adjusted(p_values.size());
  double largest = 0.0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto remaining = static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, remaining * p_values[order[rank]]));
    adjusted[order[rank]] = largest;
  }
  return adjusted;
}

std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p_values) {
  const std::vector<std::size_t> order = ascending(p_values);
  std::vector<double> adjusted(p_values.size());
  double smallest = 1.0;
  for (std::size_t rank = order.size(); rank-- > 0;) {
    const double share = static_cast<double>(order.size()) / static_cast<double>(rank + 1);
    smallest = std::min(smallest, share * p_values[order[rank]]);
    adjusted[order[rank]] = smallest;
  }
  return adjusted;
}

}  // namespace charm::stats
