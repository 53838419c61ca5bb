#include "charm/evaluate/tally.h"

#include <unordered_map>

namespace charm::evaluate {

std::vector<Estimate> tally_estimates(const Tally& tally, const BootstrapOptions& options) {
  return bootstrap_estimates(PromptBootstrap(tally.prompts, tally.groups), tally.statistics,
                             options);
}

double weighted_mean(std::span<const double> values, std::span<const double> weights) {
  double sum = 0.0, total = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += weights[i] * values[i];
    total += weights[i];
  }
  return sum / total;
}

std::vector<RowGroup> rows_by_group(std::span<const std::string> groups) {
  std::vector<RowGroup> found;
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t row = 0; row < groups.size(); ++row) {
    const auto [it, is_new] = place.try_emplace(groups[row], found.size());
    if (is_new) found.push_back({groups[row], {}});
    found[it->second].rows.push_back(row);
  }
  return found;
}

}  // namespace charm::evaluate
