#include "charm/evaluate/metrics.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "charm/stats/interval.h"

namespace charm::evaluate {
namespace {

/// [group] its prompts.
std::map<std::string, std::unordered_set<std::string>> prompts_by_group(
    const MetricSet& metric_set) {
  std::map<std::string, std::unordered_set<std::string>> prompts;
  for (std::size_t row = 0; row < metric_set.groups.size(); ++row)
    prompts[metric_set.groups[row]].insert(metric_set.prompts[row]);
  return prompts;
}

/// Prompts that a metric is measured on: of its group, of all groups for the overall. A section's
/// mean is no better known than its smallest subset; which they are is not known here, so it counts
/// as the smallest of all.
std::int64_t num_prompts_of(const MetricSet& metric_set, const Metric& metric) {
  const auto prompts = prompts_by_group(metric_set);
  if (const auto own = prompts.find(metric.name); own != prompts.end())
    return std::ssize(own->second);
  std::size_t all = 0, fewest = metric_set.prompts.size();
  for (const auto& [name, group] : prompts) {
    all += group.size();
    fewest = std::min(fewest, group.size());
  }
  return static_cast<std::int64_t>(metric.part == Metric::Part::kOverall ? all : fewest);
}

}  // namespace

std::vector<Estimate> metric_estimates(const MetricSet& metric_set,
                                       const BootstrapOptions& options) {
  std::vector<StatisticKind> kinds;
  for (const Metric& metric : metric_set.metrics)
    kinds.push_back(metric.is_magnitude ? StatisticKind::kMagnitude : StatisticKind::kPlain);
  std::vector<Estimate> estimates =
      bootstrap_estimates(PromptBootstrap(metric_set.prompts, metric_set.groups),
                          metric_set.statistics, options, kinds);
  for (std::size_t i = 0; i < estimates.size(); ++i) {
    Estimate& estimate = estimates[i];
    if (!metric_set.metrics[i].is_proportion || !estimate.ci95 ||
        estimate.ci95->lo != estimate.ci95->hi) {
      continue;
    }
    estimate.ci95 =
        stats::wilson_interval({.rate = estimate.value,
                                .se = 0.0,
                                .num_prompts = num_prompts_of(metric_set, metric_set.metrics[i])});
  }
  return estimates;
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
