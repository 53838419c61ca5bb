#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"

// JudgeBench, RMB and PPE's correctness sets: shares of comparisons in which the right text scores
// strictly higher; a tie is wrong.
namespace charm::evaluate {

bool is_pair_benchmark(Benchmark benchmark);

/// JudgeBench: Knowledge, Reasoning, Math, Coding. RMB: "BoN helpfulness", "pairwise helpfulness",
/// "BoN harmlessness", "pairwise harmlessness". PPE: mmlu-pro, math, gpqa, ifeval, mbpp-plus.
std::span<const std::string_view> pair_benchmark_sections(Benchmark benchmark);

/// The section of a JudgeBench source, an RMB category_path or a PPE set; empty for none.
std::string_view pair_benchmark_section(Benchmark benchmark, std::string_view subset);

/// Every section, every subset and the overall. JudgeBench: all rows pooled, as its metrics.py; RMB
/// and PPE: mean of the sections. PPE's sections also have "auc", the area under the ROC curve of a
/// question's right and wrong responses (mean over questions with both), and "best_of_k", the
/// expected rightness of the best-scored of all responses to a question.
MetricSet pair_benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

}  // namespace charm::evaluate
