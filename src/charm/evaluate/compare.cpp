#include "charm/evaluate/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "charm/base/error.h"
#include "charm/evaluate/arena.h"
#include "charm/evaluate/matching.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/records/score.h"
#include "charm/stats/hypothesis_tests.h"

namespace charm::evaluate {
namespace {

/// B's rows in A's order.
std::vector<ScoredEvalItem> in_order_of(std::span<const ScoredEvalItem> a,
                                        std::span<const ScoredEvalItem> b) {
  const auto keys = [](std::span<const ScoredEvalItem> rows) {
    std::vector<std::string> all;
    for (const ScoredEvalItem& row : rows) all.push_back(identity(row.item));
    return all;
  };
  const Matching matching = match(keys(a), keys(b));
  if (!matching.is_complete()) {
    const auto name_of = [](std::span<const ScoredEvalItem> rows) {
      return [rows](std::size_t i) {
        return fmt::format("{} of {}", rows[i].item.id, rows[i].item.subset);
      };
    };
    throw Error(
        ErrorKind::kInput,
        "the two runs hold different rows: {}; a comparison needs the same rows (id, subset and "
        "texts) in both: score the same data, with the same sampling seed",
        difference_text(matching, name_of(a), name_of(b)));
  }
  std::vector<ScoredEvalItem> ordered;
  for (const std::size_t i : matching.row_of_b) ordered.push_back(b[i]);
  return ordered;
}

std::optional<Estimate> defined(const Estimate& estimate) {
  return std::isnan(estimate.value) ? std::nullopt : std::optional(estimate);
}

// Where the file has a metric: a measure other than the score is one of its part.
results::ComparedPart& place_of(const Metric& metric, bool is_complete,
                                results::Comparison& comparison) {
  const bool is_arena = comparison.benchmark == benchmark_name(Benchmark::kArena);
  results::ComparedPart* part = nullptr;
  if (metric.part == Metric::Part::kSection) {
    part = &part_named(metric.name, is_arena ? comparison.correlations : comparison.sections);
  } else if (metric.part == Metric::Part::kSubset) {
    part = &part_named(metric.name, is_arena ? comparison.policies : comparison.subsets);
  } else if (is_arena) {
    return part_named(metric.measure, comparison.overall);
  } else {
    part = &part_named(is_complete ? "overall" : "overall_partial", comparison.overall);
  }
  return metric.measure == "score" ? *part : part_named(metric.measure, part->measures);
}

}  // namespace

results::ComparedPart& part_named(const std::string& name,
                                  std::vector<results::ComparedPart>& parts) {
  const auto found = std::ranges::find(parts, name, &results::ComparedPart::name);
  if (found != parts.end()) return *found;
  parts.push_back({.name = name});
  return parts.back();
}

void add_metrics(const MetricSet& a, const MetricSet& b, const BootstrapOptions& options,
                 results::Comparison& comparison) {
  const std::size_t count = a.metrics.size();
  const WeightedStatistics both = [&](std::span<const double> weights) {
    std::vector<double> values = a.statistics(weights);
    const std::vector<double> others = b.statistics(weights);
    values.insert(values.end(), others.begin(), others.end());
    for (std::size_t i = 0; i < count; ++i) values.push_back(others[i] - values[i]);
    return values;
  };
  std::vector<StatisticKind> kinds(3 * count, StatisticKind::kPlain);
  for (std::size_t i = 0; i < count; ++i) {
    if (!a.metrics[i].is_magnitude) continue;
    kinds[i] = kinds[count + i] = StatisticKind::kMagnitude;
    kinds[2 * count + i] = StatisticKind::kMagnitudeDifference;
  }
  const std::vector<Estimate> estimates =
      bootstrap_estimates(PromptBootstrap(a.prompts, a.groups), both, options, kinds);
  for (std::size_t i = 0; i < count; ++i) {
    results::ComparedPart& part = place_of(a.metrics[i], a.is_complete, comparison);
    part.a = defined(estimates[i]);
    part.b = defined(estimates[count + i]);
    part.difference = defined(estimates[2 * count + i]);
  }
}

void FlipCount::add(const std::vector<bool>& a, const std::vector<bool>& b) {
  std::int64_t gained = 0, lost = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    gained += b[i] && !a[i];
    lost += a[i] && !b[i];
  }
  gained_ += gained;
  lost_ += lost;
  num_comparisons_ += std::ssize(a);
  differences_.push_back(static_cast<double>(gained - lost));
}

results::Flips FlipCount::flips(std::string_view cluster) const {
  const std::int64_t num_rows = std::ssize(differences_);
  const stats::McNemar test = num_comparisons_ > num_rows
                                  ? stats::clustered_mcnemar_test(differences_)
                                  : stats::mcnemar_test(gained_, lost_);
  results::Flips flips{.num_rows = num_rows, .gained = gained_, .lost = lost_, .test = {}};
  flips.test = test.statistic ? "chi-square with continuity correction" : "exact binomial";
  if (num_comparisons_ != num_rows) {
    flips.num_comparisons = num_comparisons_;
    flips.test = fmt::format("chi-square clustered by {}", cluster);
  }
  flips.statistic = test.statistic;
  flips.p_value = test.p_value;
  return flips;
}

results::Comparison compare_rows(Benchmark benchmark, std::span<const ScoredEvalItem> a,
                                 std::span<const ScoredEvalItem> b,
                                 const BootstrapOptions& options) {
  const std::vector<ScoredEvalItem> ordered_b = in_order_of(a, b);
  const MetricSet set_a = benchmark_metrics(benchmark, a);
  results::Comparison comparison{.benchmark = std::string(benchmark_name(benchmark))};
  comparison.num_rows = std::ssize(a);
  add_metrics(set_a, benchmark_metrics(benchmark, ordered_b), options, comparison);

  FlipCount overall;
  std::map<std::string, FlipCount> sections, subsets;
  for (std::size_t r = 0; r < a.size(); ++r) {
    const std::vector<bool> right_a = right_comparisons(benchmark, a[r]);
    const std::vector<bool> right_b = right_comparisons(benchmark, ordered_b[r]);
    subsets[set_a.groups[r]].add(right_a, right_b);
    const std::string section(section_of(benchmark, set_a.groups[r]));
    if (section.empty()) continue;
    sections[section].add(right_a, right_b);
    overall.add(right_a, right_b);
  }
  comparison.overall.front().flips = overall.flips("row");
  for (results::ComparedPart& section : comparison.sections)
    section.flips = sections.at(section.name).flips("row");
  std::vector<double> p_values;
  for (results::ComparedPart& subset : comparison.subsets) {
    subset.flips = subsets.at(subset.name).flips("row");
    p_values.push_back(subset.flips->p_value);
  }
  const std::vector<double> adjusted = stats::holm_adjusted(p_values);
  for (std::size_t s = 0; s < adjusted.size(); ++s)
    comparison.subsets[s].flips->p_value_holm = adjusted[s];
  return comparison;
}

results::Comparison compare_arena(std::span<const Score> a, std::span<const Score> b,
                                  const std::map<std::string, double>& rating_of_policy,
                                  const std::vector<std::string>& held_out_policies,
                                  const BootstrapOptions& options) {
  const CommonScores common = common_scores(a, b);
  results::Comparison comparison{.benchmark = std::string(benchmark_name(Benchmark::kArena))};
  comparison.num_rows = std::ssize(common.a);
  comparison.num_left_out = common.num_excluded;
  add_metrics(arena_metrics(common.a, rating_of_policy, held_out_policies),
              arena_metrics(common.b, rating_of_policy, held_out_policies), options, comparison);
  return comparison;
}

}  // namespace charm::evaluate
