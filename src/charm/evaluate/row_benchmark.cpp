#include "charm/evaluate/row_benchmark.h"

#include <algorithm>

#include "charm/base/error.h"
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/records/conversation.h"

namespace charm::evaluate {
namespace {

bool is_ties_row(Benchmark benchmark, const ScoredEvalItem& row) {
  return benchmark == Benchmark::kRewardBench2 && is_ties_subset(row.item.subset);
}

}  // namespace

MetricSet benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  if (rows.empty())
    throw Error(ErrorKind::kInput, "{}: no rows to evaluate", benchmark_name(benchmark));
  if (benchmark == Benchmark::kRewardBench) return reward_bench_metrics(rows);
  if (benchmark == Benchmark::kRewardBench2) return reward_bench_2_metrics(rows);
  if (benchmark == Benchmark::kRmBench) return rm_bench_metrics(rows);
  return pair_benchmark_metrics(benchmark, rows);
}

std::string_view section_of(Benchmark benchmark, std::string_view subset) {
  if (benchmark == Benchmark::kRewardBench) return reward_bench_section(subset);
  if (benchmark == Benchmark::kRmBench) return rm_bench_domain(subset);
  if (benchmark == Benchmark::kRewardBench2)
    return is_reward_bench_2_subset(subset) ? subset : std::string_view();
  return pair_benchmark_section(benchmark, subset);
}

std::vector<bool> right_comparisons(Benchmark benchmark, const ScoredEvalItem& row) {
  std::vector<bool> right;
  if (benchmark == Benchmark::kPpe) {
    for (const auto& [chosen, rejected] : row.item.pairs) {
      right.push_back(row.score_chosen[static_cast<std::size_t>(chosen)] >
                      row.score_rejected[static_cast<std::size_t>(rejected)]);
    }
  } else if (benchmark == Benchmark::kRmBench) {
    for (const double chosen : row.score_chosen) {
      for (const double rejected : row.score_rejected) right.push_back(chosen > rejected);
    }
  } else if (benchmark == Benchmark::kRewardBench2 && !is_ties_row(benchmark, row)) {
    right = {best_of_n_result(row) == 1.0};
  } else {
    const double chosen =
        is_ties_row(benchmark, row) ? std::ranges::min(row.score_chosen) : row.score_chosen[0];
    right = {chosen > std::ranges::max(row.score_rejected)};
  }
  return right;
}

RowTally tally_of(Benchmark benchmark, const ScoredEvalItem& row) {
  const std::vector<bool> right = right_comparisons(benchmark, row);
  RowTally tally{.correct = static_cast<double>(std::ranges::count(right, true)),
                 .comparisons = static_cast<double>(right.size())};
  if (benchmark == Benchmark::kPpe) {
    for (const auto& [chosen, rejected] : row.item.pairs) {
      tally.ties += row.score_chosen[static_cast<std::size_t>(chosen)] ==
                    row.score_rejected[static_cast<std::size_t>(rejected)];
    }
  } else if (benchmark == Benchmark::kRmBench) {
    for (const double chosen : row.score_chosen)
      tally.ties += std::ranges::count(row.score_rejected, chosen);
  } else {
    const bool is_ties = is_ties_row(benchmark, row);
    if (benchmark == Benchmark::kRewardBench2 && !is_ties) tally.correct = best_of_n_result(row);
    const double chosen = is_ties ? std::ranges::min(row.score_chosen) : row.score_chosen[0];
    tally.ties = chosen == std::ranges::max(row.score_rejected) ? 1 : 0;
  }
  return tally;
}

double share_correct(std::span<const RowTally> tallies, std::span<const std::size_t> rows,
                     std::span<const double> weights) {
  double correct = 0.0, total = 0.0;
  for (const std::size_t r : rows) {
    correct += weights[r] * tallies[r].correct;
    total += weights[r] * tallies[r].comparisons;
  }
  return correct / total;
}

MetricSet metric_set_of(std::span<const ScoredEvalItem> rows) {
  MetricSet metric_set;
  for (const ScoredEvalItem& row : rows) {
    metric_set.prompts.push_back(prompt_id_of(row.item.prompt));
    metric_set.groups.push_back(row.item.subset);
  }
  return metric_set;
}

std::vector<RowTally> tallies_of(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  std::vector<RowTally> tallies;
  for (const ScoredEvalItem& row : rows) tallies.push_back(tally_of(benchmark, row));
  return tallies;
}

std::vector<RowGroup> rows_by_section(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                      std::span<const std::string_view> sections) {
  std::vector<RowGroup> groups;
  for (const std::string_view section : sections) {
    RowGroup group{std::string(section), {}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (section_of(benchmark, rows[r].item.subset) == section) group.rows.push_back(r);
    }
    if (!group.rows.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<RowGroup> rows_by_subset(std::span<const ScoredEvalItem> rows) {
  std::vector<std::string> names;
  for (const ScoredEvalItem& row : rows) names.push_back(row.item.subset);
  std::vector<RowGroup> subsets = rows_by_group(names);
  std::ranges::sort(subsets, {}, &RowGroup::name);
  return subsets;
}

}  // namespace charm::evaluate
