#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/metrics.h"
#include "charm/evaluate/subset_accuracy.h"

// JudgeBench, RMB and PPE's correctness sets: shares of comparisons in which the right text scores
// strictly higher; a tie is wrong.
namespace charm::evaluate {

/// Knowledge, Reasoning, Math or Coding of a JudgeBench source; empty for others.
std::string_view judge_bench_section(std::string_view source);

/// "BoN helpfulness", "pairwise helpfulness", "BoN harmlessness" or "pairwise harmlessness" of an
/// RMB category_path; empty for others.
std::string_view rmb_section(std::string_view category_path);

/// mmlu-pro, math, gpqa, ifeval, mbpp-plus.
std::span<const std::string_view> ppe_subsets();

struct PairBenchmarkResult {
  /// JudgeBench: all rows pooled, as its metrics.py. RMB: mean of its four sections. PPE: mean of
  /// its five sets. Absent while a section is missing.
  std::optional<Estimate> overall;
  Estimate overall_partial;  ///< over the sections present
  std::vector<SectionScore> sections;
  std::vector<SubsetAccuracy> subsets;
  std::vector<std::string> missing_sections;
  /// PPE, by section: area under the ROC curve of a question's right and wrong responses, mean over
  /// questions with both; expected rightness of the best-scored of all responses to a question.
  std::vector<SectionScore> auc;
  std::vector<SectionScore> best_of_k;
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;
};

/// Of kJudgeBench, kRmb or kPpe.
PairBenchmarkResult pair_benchmark_result(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                          const BootstrapOptions& options);
MetricSet pair_benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows);

/// The section of a subset; empty for none.
std::string_view pair_benchmark_section(Benchmark benchmark, std::string_view subset);

/// The comparisons of a row that count: JudgeBench and RMB one, the right text against the best of
/// the others; PPE its sampled pairs.
std::vector<bool> pair_benchmark_comparisons(Benchmark benchmark, const ScoredEvalItem& row);

/// As the result file has it.
results::Evaluation evaluation_of(Benchmark benchmark, const PairBenchmarkResult& result);

/// Plain-text output.
std::string result_text(const PairBenchmarkResult& result);

}  // namespace charm::evaluate
