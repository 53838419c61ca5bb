#include "charm/stats/multiplicity.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace charm::stats {
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
