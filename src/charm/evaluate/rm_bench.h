#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// Texts of a row in order of style: concise, detailed plain text, detailed with markdown.
constexpr std::size_t kRmBenchStyles = 3;

/// Accuracies of one domain (or one of its files).
struct RmBenchDomain {
  std::string name;
  /// [i][j]: share of rows with score(chosen[i]) > score(rejected[j]); a tie is incorrect.
  std::array<std::array<double, kRmBenchStyles>, kRmBenchStyles> matrix{};
  Estimate hard;    ///< mean of the cells i < j: the chosen text is plainer than the rejected one
  Estimate normal;  ///< mean of the diagonal
  Estimate easy;    ///< mean of the cells i > j
  Estimate score;   ///< mean of hard, normal, easy
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;             ///< of num_comparisons
  std::int64_t num_comparisons = 0;  ///< 9 a row
};

/// Means over domains.
struct RmBenchMeans {
  Estimate score, hard, normal, easy;
};

struct RmBenchResult {
  std::optional<RmBenchMeans> overall;  ///< absent if one of chat, math, code, safety has no row
  RmBenchMeans overall_partial;         ///< over the domains present
  std::vector<RmBenchDomain> domains;   ///< chat, math, code, safety (pooled), those present
  std::vector<RmBenchDomain>
      subsets;  ///< by the name in the data: safety-refuse, safety-response separate
  std::vector<std::string> missing_domains;
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;
};

/// The domain of a name ("safety-refuse" -> "safety"): the domain that is a prefix of it, as in
/// split_dataset_by_domain; empty when there is none.
std::string_view rm_bench_domain(std::string_view name);

/// RM-Bench as compute_accuracy in scripts/utils.py of THU-KEG/RM-Bench counts it. `subset` of each
/// row names its domain.
RmBenchResult rm_bench_result(std::span<const ScoredEvalItem> rows,
                              const BootstrapOptions& options);

/// Metrics: score, hard, normal, easy of every domain, of every subset, and of the mean over the
/// domains present.
MetricSet rm_bench_metrics(std::span<const ScoredEvalItem> rows);

/// As the result file has it.
results::Evaluation evaluation_of(const RmBenchResult& result);

/// Plain-text output.
std::string result_text(const RmBenchResult& result);

}  // namespace charm::evaluate
