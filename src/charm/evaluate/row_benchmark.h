#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

// The benchmarks made of rows of chosen and rejected texts: all but arena, votes and best-of-n.
namespace charm::evaluate {

/// The metrics of the rows. Throws kInput where none belongs to the benchmark.
MetricSet benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

/// The section (RM-Bench: domain) of a subset; empty when it has none.
std::string_view section_of(Benchmark benchmark, std::string_view subset);

/// Correctness of a row's comparisons: RewardBench v1 one; RM-Bench nine; RewardBench 2 one: the
/// first text alone has the best score, or in Ties every correct text is above every incorrect one;
/// JudgeBench and RMB one: the right text above the best of the others; PPE its sampled pairs.
std::vector<bool> right_comparisons(Benchmark benchmark, const ScoredEvalItem& row);

/// What one row adds to the counts of its subset.
struct RowTally {
  double correct = 0.0;  ///< comparisons; RewardBench 2: a best score shared by k texts counts 1/k
  double comparisons = 1.0;
  std::int64_t ties = 0;
};
RowTally tally_of(Benchmark benchmark, const ScoredEvalItem& row);

/// Share of correct comparisons of some rows under weights.
double share_correct(std::span<const RowTally> tallies, std::span<const std::size_t> rows,
                     std::span<const double> weights);

/// Prompts, subsets and tallies of the rows, as most metrics need them.
MetricSet metric_set_of(std::span<const ScoredEvalItem> rows);
std::vector<RowTally> tallies_of(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

/// The rows of each of `sections` that has any, in this order.
std::vector<RowGroup> rows_by_section(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                      std::span<const std::string_view> sections);

/// The rows of each subset, subsets by name.
std::vector<RowGroup> rows_by_subset(std::span<const ScoredEvalItem> rows);

/// For subsets that are not among `known`: says so, with the nearest of those.
std::vector<std::string> unknown_subset_warnings(std::span<const results::BenchmarkPart> subsets,
                                                 std::span<const std::string> known,
                                                 std::string_view benchmark);

/// The benchmark's result, with intervals.
results::Evaluation benchmark_result(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                     const BootstrapOptions& options);

/// Plain-text output of any benchmark's result.
std::string result_text(const results::Evaluation& evaluation);

}  // namespace charm::evaluate
