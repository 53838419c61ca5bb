#include "charm/evaluate/metrics.h"

#include <unordered_map>
#include <unordered_set>

#include "charm/stats/interval.h"

namespace charm::evaluate {
namespace {

std::int64_t prompts_of(const MetricSet& metric_set, const std::string& group) {
  std::unordered_set<std::string> prompts;
  for (std::size_t row = 0; row < metric_set.groups.size(); ++row) {
    if (metric_set.groups[row] == group) prompts.insert(metric_set.prompts[row]);
  }
  return static_cast<std::int64_t>(prompts.size());
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
    const bool is_end = estimate.value == 0.0 || estimate.value == 1.0;
    if (!metric_set.metrics[i].is_proportion || !is_end || !estimate.ci95 ||
        estimate.ci95->lo != estimate.ci95->hi) {
      continue;
    }
    std::int64_t num_prompts = prompts_of(metric_set, metric_set.metrics[i].name);
    if (num_prompts == 0) {  // a mean over several groups, whose prompts count as one group's
      const std::unordered_set<std::string> all(metric_set.prompts.begin(),
                                                metric_set.prompts.end());
      num_prompts = static_cast<std::int64_t>(all.size());
    }
    estimate.ci95 =
        stats::wilson_interval({.rate = estimate.value, .se = 0.0, .num_prompts = num_prompts});
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
