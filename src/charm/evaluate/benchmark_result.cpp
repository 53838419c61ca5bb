#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "charm/base/strings.h"
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/evaluate/row_benchmark.h"

namespace charm::evaluate {
namespace {

// Adds the rows' counts to a part: RM-Bench has a matrix and counts comparisons.
void add_counts(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                std::span<const RowTally> tallies, const std::vector<std::size_t>& members,
                results::BenchmarkPart& part) {
  double correct = 0.0, comparisons = 0.0;
  std::int64_t ties = 0;
  for (const std::size_t r : members) {
    correct += tallies[r].correct;
    comparisons += tallies[r].comparisons;
    ties += tallies[r].ties;
  }
  const bool is_section = !part.section.has_value();
  part.metrics.add_count("num_rows", std::ssize(members));
  if (benchmark == Benchmark::kRmBench) {
    part.matrix = rm_bench_matrix(rows, members);
    part.metrics.add_count("ties", ties);
    part.metrics.add_count("num_comparisons", std::llround(comparisons));
  } else if (!is_section) {
    if (correct == std::floor(correct)) {
      part.metrics.add_count("num_correct", std::llround(correct));
    } else {
      part.metrics.add("num_correct", correct);
    }
    part.metrics.add_count("ties", ties);
  }
}

// The measures of the overall, under their names and as those of the sections present.
void add_overall(const MetricSet& metric_set, std::span<const Estimate> estimates,
                 results::Metrics& overall) {
  for (const char* suffix : {"", "_partial"}) {
    if (*suffix == '\0' && !metric_set.is_complete) continue;
    for (std::size_t m = 0; m < estimates.size(); ++m) {
      const Metric& metric = metric_set.metrics[m];
      if (metric.part != Metric::Part::kOverall || metric.measure == "with_prior_sets") continue;
      overall.add((metric.measure == "score" ? "overall" : metric.measure) + suffix, estimates[m]);
    }
  }
}

}  // namespace

std::vector<std::string> unknown_subset_warnings(std::span<const results::BenchmarkPart> subsets,
                                                 std::span<const std::string> known,
                                                 std::string_view benchmark) {
  std::vector<std::string> warnings;
  for (const results::BenchmarkPart& subset : subsets) {
    if (std::ranges::find(known, subset.name) != known.end()) continue;
    warnings.push_back(fmt::format(
        "'{}' is no subset of {} (nearest name: {}): its {} rows are excluded from sections and "
        "overall",
        subset.name, benchmark, nearest_names(subset.name, known, 1).front(),
        std::llround(subset.metrics.find("num_rows")->value)));
  }
  return warnings;
}

results::Evaluation benchmark_result(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                     const BootstrapOptions& options) {
  const MetricSet metric_set = benchmark_metrics(benchmark, rows);
  const std::vector<Estimate> estimates = metric_estimates(metric_set, options);
  const std::vector<RowTally> tallies = tallies_of(benchmark, rows);
  const bool is_rm_bench = benchmark == Benchmark::kRmBench;
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(benchmark))};
  for (std::size_t m = 0; m < estimates.size(); ++m) {
    const Metric& metric = metric_set.metrics[m];
    if (metric.part == Metric::Part::kOverall) continue;
    const bool is_subset = metric.part == Metric::Part::kSubset;
    std::vector<results::BenchmarkPart>& parts =
        is_subset ? evaluation.subsets : evaluation.sections;
    if (is_subset && metric.measure != "score" && !is_rm_bench) continue;  // terms of Ties
    if (parts.empty() || parts.back().name != metric.name) {
      parts.push_back({.name = metric.name});
      if (is_subset && !is_rm_bench) parts.back().section = section_of(benchmark, metric.name);
    }
    parts.back().metrics.add(is_subset && !is_rm_bench ? "accuracy" : metric.measure, estimates[m]);
  }
  for (auto* parts : {&evaluation.sections, &evaluation.subsets}) {
    for (results::BenchmarkPart& part : *parts) {
      std::vector<std::size_t> members;
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const std::string_view group = metric_set.groups[r];
        if ((parts == &evaluation.subsets ? group : section_of(benchmark, group)) == part.name)
          members.push_back(r);
      }
      add_counts(benchmark, rows, tallies, members, part);
    }
  }
  add_overall(metric_set, estimates, evaluation.overall);
  if (benchmark == Benchmark::kRewardBench) {
    add_reward_bench_facts(metric_set, estimates, evaluation);
  } else if (benchmark == Benchmark::kRewardBench2) {
    add_reward_bench_2_facts(metric_set, estimates, rows, evaluation);
  } else {
    evaluation.missing_sections.emplace();
    for (const std::string_view section :
         is_rm_bench ? rm_bench_domains() : pair_benchmark_sections(benchmark)) {
      if (std::ranges::find(evaluation.sections, section, &results::BenchmarkPart::name) ==
          evaluation.sections.end()) {
        evaluation.missing_sections->emplace_back(section);
      }
    }
  }
  double comparisons = 0.0;
  std::int64_t ties = 0;
  for (const RowTally& tally : tallies) {
    comparisons += tally.comparisons;
    ties += tally.ties;
  }
  evaluation.overall.add_count("num_rows", std::ssize(rows));
  evaluation.overall.add_count("ties", ties);
  if (is_rm_bench) evaluation.overall.add_count("num_comparisons", std::llround(comparisons));
  return evaluation;
}

}  // namespace charm::evaluate
