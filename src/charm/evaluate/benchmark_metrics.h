#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"

// Dispatch by benchmark, for those made of rows (not arena).
namespace charm::evaluate {

/// Throws as the benchmark's own result function does.
MetricSet benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

/// The section (RM-Bench: domain) of a group; empty when it has none.
std::string_view section_of_group(Benchmark benchmark, std::string_view group);

/// Correctness of a row's comparisons: RewardBench v1 one; RM-Bench nine; RewardBench 2 one: the
/// first text alone has the best score, or in Ties every correct text is above every incorrect one.
std::vector<bool> right_comparisons(Benchmark benchmark, const ScoredEvalItem& row);

}  // namespace charm::evaluate
