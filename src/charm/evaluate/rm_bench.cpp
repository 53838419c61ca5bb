#include "charm/evaluate/rm_bench.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "charm/base/check.h"
#include "charm/evaluate/row_benchmark.h"

namespace charm::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kDomains = {"chat", "math", "code", "safety"};

constexpr std::array<const char*, 4> kMeasures = {"score", "hard", "normal", "easy"};

/// Nine cells, [chosen style][rejected style] row by row.
using Cells = std::array<double, kRmBenchStyles * kRmBenchStyles>;

Cells correct_shares(std::span<const std::vector<bool>> right, std::span<const std::size_t> members,
                     std::span<const double> weights) {
  Cells cells{};
  double total = 0.0;
  for (const std::size_t r : members) {
    total += weights[r];
    for (std::size_t k = 0; k < cells.size(); ++k) {
      if (right[r][k]) cells[k] += weights[r];
    }
  }
  for (double& cell : cells) cell /= total;
  return cells;
}

/// In the order of kMeasures.
std::array<double, 4> difficulty_scores(const Cells& m) {
  const double hard = (m[1] + m[2] + m[5]) / 3.0;
  const double normal = (m[0] + m[4] + m[8]) / 3.0;
  const double easy = (m[3] + m[6] + m[7]) / 3.0;
  return {(hard + normal + easy) / 3.0, hard, normal, easy};
}

std::vector<std::vector<bool>> compare_all(std::span<const ScoredEvalItem> rows) {
  std::vector<std::vector<bool>> right;
  for (const ScoredEvalItem& row : rows) {
    CHARM_CHECK(
        row.score_chosen.size() == kRmBenchStyles && row.score_rejected.size() == kRmBenchStyles,
        "row {} has {} and {} scores", row.item.id, row.score_chosen.size(),
        row.score_rejected.size());
    CHARM_CHECK(!rm_bench_domain(row.item.subset).empty(), "row {} has domain '{}'", row.item.id,
                row.item.subset);
    right.push_back(right_comparisons(Benchmark::kRmBench, row));
  }
  return right;
}

}  // namespace

std::span<const std::string_view> rm_bench_domains() { return kDomains; }

std::string_view rm_bench_domain(std::string_view name) {
  for (std::string_view domain : kDomains) {
    if (name.starts_with(domain)) return domain;
  }
  return {};
}

std::vector<std::vector<double>> rm_bench_matrix(std::span<const ScoredEvalItem> rows,
                                                 std::span<const std::size_t> members) {
  const std::vector<double> ones(rows.size(), 1.0);
  const Cells cells = correct_shares(compare_all(rows), members, ones);
  std::vector<std::vector<double>> matrix;
  for (auto line = cells.begin(); line != cells.end(); line += kRmBenchStyles)
    matrix.emplace_back(line, line + kRmBenchStyles);
  return matrix;
}

MetricSet rm_bench_metrics(std::span<const ScoredEvalItem> rows) {
  MetricSet metric_set = metric_set_of(rows);
  const std::vector<RowGroup> domains = rows_by_section(Benchmark::kRmBench, rows, kDomains);
  const std::vector<RowGroup> subsets = rows_by_subset(rows);
  const auto add = [&](Metric::Part part, const std::string& name) {
    for (const char* measure : kMeasures) metric_set.metrics.push_back({part, name, measure});
  };
  for (const RowGroup& domain : domains) add(Metric::Part::kSection, domain.name);
  for (const RowGroup& subset : subsets) add(Metric::Part::kSubset, subset.name);
  add(Metric::Part::kOverall, "");
  metric_set.is_complete = domains.size() == kDomains.size();
  metric_set.statistics = [domains, subsets,
                           right = compare_all(rows)](std::span<const double> weights) {
    std::vector<double> values;
    const auto append = [&](const RowGroup& group) {
      const auto scores = difficulty_scores(correct_shares(right, group.rows, weights));
      values.insert(values.end(), scores.begin(), scores.end());
      return scores;
    };
    std::array<double, 4> mean{};
    for (const RowGroup& domain : domains) {
      const auto scores = append(domain);
      for (std::size_t k = 0; k < mean.size(); ++k)
        mean[k] += scores[k] / static_cast<double>(domains.size());
    }
    for (const RowGroup& subset : subsets) append(subset);
    values.insert(values.end(), mean.begin(), mean.end());
    return values;
  };
  return metric_set;
}

}  // namespace charm::evaluate
