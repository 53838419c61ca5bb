#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/tally.h"
#include "charm/records/eval_item.h"

// What all benchmarks made of rows have in common, by name of the benchmark (not arena).
namespace charm::evaluate {

/// Throws as the benchmark's own result does for rows it cannot count.
Tally benchmark_tally(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

/// The section (RM-Bench: domain) that a tally's group counts in; empty when in none.
std::string_view section_of_group(Benchmark benchmark, std::string_view group);

/// Which of a row's comparisons are right: RewardBench v1 one; RM-Bench nine; RewardBench 2 one, a
/// best score of the first text alone, or in Ties every correct text above every incorrect one.
std::vector<bool> right_comparisons(Benchmark benchmark, const ScoredEvalItem& row);

}  // namespace charm::evaluate
