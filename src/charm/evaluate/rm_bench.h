#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"

namespace charm::evaluate {

/// Texts of a row in order of style: concise, detailed plain text, detailed with markdown.
constexpr std::size_t kRmBenchStyles = 3;

/// chat, math, code, safety.
std::span<const std::string_view> rm_bench_domains();

/// The domain of a name ("safety-refuse" -> "safety"): the domain that is a prefix of it, as in
/// split_dataset_by_domain; empty when there is none.
std::string_view rm_bench_domain(std::string_view name);

/// [i][j]: share of `members` with score(chosen[i]) > score(rejected[j]); a tie is incorrect.
std::vector<std::vector<double>> rm_bench_matrix(std::span<const ScoredEvalItem> rows,
                                                 std::span<const std::size_t> members);

/// RM-Bench as compute_accuracy in scripts/utils.py of THU-KEG/RM-Bench counts it; `subset` of each
/// row names its domain. Of every domain (safety's files pooled), every subset and the mean over
/// the domains present: hard (mean of the cells i < j: the chosen text is plainer than the rejected
/// one), normal (the diagonal), easy (i > j), and score, their mean.
MetricSet rm_bench_metrics(std::span<const ScoredEvalItem> rows);

}  // namespace charm::evaluate
