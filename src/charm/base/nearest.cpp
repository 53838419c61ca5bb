#include "charm/base/nearest.h"

#include <algorithm>
#include <numeric>

#include "charm/base/lower_ascii.h"

namespace charm {
namespace {

// Levenshtein distance with one row of the table.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates, std::size_t count) {
  const std::string wanted = lower_ascii(name);
  std::vector<std::pair<std::size_t, std::size_t>> order;  // distance, index
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    order.emplace_back(edit_distance(wanted, lower_ascii(candidates[i])), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min(count, order.size()); ++i) {
    nearest.push_back(candidates[order[i].second]);
  }
  return nearest;
}

}  // namespace charm
