#include "charm/evaluate/compare.h"

#include <utility>

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

std::map<std::string, Flips> flips_of(const std::map<std::string, FlipCount>& counts) {
  std::map<std::string, Flips> all;
  std::vector<double> p_values;
  for (const auto& [name, count] : counts) {
    p_values.push_back(all.emplace(name, count.flips()).first->second.test.p_value);
  }
  const std::vector<double> adjusted = stats::holm_adjusted(p_values);
  std::size_t next = 0;
  for (auto& [name, flips] : all) flips.p_value_holm = adjusted[next++];
  return all;
}

}  // namespace

std::vector<ComparedMetric> compare_metrics(const MetricSet& a, const MetricSet& b,
                                            const BootstrapOptions& options) {
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
  std::vector<ComparedMetric> metrics;
  for (std::size_t i = 0; i < count; ++i) {
    metrics.push_back({a.metrics[i], estimates[i], estimates[count + i], estimates[2 * count + i]});
  }
  return metrics;
}

void FlipCount::add(const std::vector<bool>& a, const std::vector<bool>& b) {
  std::int64_t gained = 0, lost = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    gained += b[i] && !a[i];
    lost += a[i] && !b[i];
  }
  flips_.gained += gained;
  flips_.lost += lost;
  flips_.num_comparisons += static_cast<std::int64_t>(a.size());
  ++flips_.num_rows;
  differences_.push_back(static_cast<double>(gained - lost));
}

Flips FlipCount::flips() const {
  Flips flips = flips_;
  flips.test = flips.num_comparisons > flips.num_rows
                   ? stats::clustered_mcnemar_test(differences_)
                   : stats::mcnemar_test(flips.gained, flips.lost);
  return flips;
}

Comparison compare_rows(Benchmark benchmark, std::span<const ScoredEvalItem> a,
                        std::span<const ScoredEvalItem> b, const BootstrapOptions& options) {
  const std::vector<ScoredEvalItem> ordered_b = in_order_of(a, b);
  const MetricSet set_a = benchmark_metrics(benchmark, a);
  const MetricSet set_b = benchmark_metrics(benchmark, ordered_b);
  Comparison comparison;
  comparison.benchmark = benchmark;
  comparison.metrics = compare_metrics(set_a, set_b, options);
  comparison.is_complete = set_a.is_complete;
  comparison.num_rows = static_cast<std::int64_t>(a.size());

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
  comparison.overall_flips = overall.flips();
  comparison.section_flips = flips_of(sections);
  comparison.subset_flips = flips_of(subsets);
  return comparison;
}

Comparison compare_arena(std::span<const Score> a, std::span<const Score> b,
                         const std::map<std::string, double>& rating_of_policy,
                         const std::vector<std::string>& held_out_policies,
                         const BootstrapOptions& options) {
  Comparison comparison;
  comparison.benchmark = Benchmark::kArena;
  const CommonScores common = common_scores(a, b);
  comparison.num_excluded = common.num_excluded;
  comparison.metrics =
      compare_metrics(arena_metrics(common.a, rating_of_policy, held_out_policies),
                      arena_metrics(common.b, rating_of_policy, held_out_policies), options);
  comparison.is_complete = true;
  comparison.num_rows = std::ssize(common.a);
  return comparison;
}

}  // namespace charm::evaluate
