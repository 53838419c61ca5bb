#include "charm/base/check.h"
#include "charm/evaluate/metrics.h"
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"

namespace charm::evaluate {

MetricSet benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  switch (benchmark) {
    case Benchmark::kRewardBench:
      return reward_bench_metrics(rows);
    case Benchmark::kRewardBench2:
      return reward_bench_2_metrics(rows);
    case Benchmark::kRmBench:
      return rm_bench_metrics(rows);
    case Benchmark::kJudgeBench:
    case Benchmark::kRmb:
    case Benchmark::kPpe:
      return pair_benchmark_metrics(benchmark, rows);
    case Benchmark::kArena:
    case Benchmark::kVotes:
    case Benchmark::kBestOfN:
      break;
  }
  throw Error(ErrorKind::kInternal, "{} has no benchmark rows", benchmark_name(benchmark));
}

std::string_view section_of_group(Benchmark benchmark, std::string_view group) {
  switch (benchmark) {
    case Benchmark::kRewardBench:
      return reward_bench_section(group);
    case Benchmark::kRewardBench2:
      return is_reward_bench_2_subset(group) ? group : std::string_view();
    case Benchmark::kRmBench:
      return rm_bench_domain(group);
    default:
      return pair_benchmark_section(benchmark, group);
  }
}

std::vector<bool> right_comparisons(Benchmark benchmark, const ScoredEvalItem& row) {
  if (benchmark == Benchmark::kRewardBench2) {
    return {is_ties_subset(row.item.subset) ? ties_row_is_accurate(row)
                                            : best_of_n_result(row) == 1.0};
  }
  if (benchmark == Benchmark::kJudgeBench || benchmark == Benchmark::kRmb ||
      benchmark == Benchmark::kPpe) {
    return pair_benchmark_comparisons(benchmark, row);
  }
  std::vector<bool> right;
  for (const double chosen : row.score_chosen) {
    for (const double rejected : row.score_rejected) right.push_back(chosen > rejected);
  }
  return right;
}

}  // namespace charm::evaluate
