#include "charm/evaluate/rm_bench.h"

#include <algorithm>

#include "charm/base/check.h"
#include "charm/evaluate/benchmark.h"
#include "charm/records/conversation.h"
#include "charm/records/eval_item.h"

namespace charm::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kDomains = {"chat", "math", "code", "safety"};

using Matrix = std::array<std::array<double, kRmBenchStyles>, kRmBenchStyles>;

/// Correctness of a row's nine comparisons.
using Comparisons = std::array<std::array<bool, kRmBenchStyles>, kRmBenchStyles>;

Comparisons compare(const ScoredEvalItem& row) {
  Comparisons right{};
  for (std::size_t i = 0; i < kRmBenchStyles; ++i) {
    for (std::size_t j = 0; j < kRmBenchStyles; ++j) {
      right[i][j] = row.score_chosen[i] > row.score_rejected[j];
    }
  }
  return right;
}

Matrix accuracy_matrix(std::span<const Comparisons> comparisons, const RowGroup& group,
                       std::span<const double> weights) {
  Matrix matrix{};
  double total = 0.0;
  for (std::size_t r : group.rows) {
    total += weights[r];
    for (std::size_t i = 0; i < kRmBenchStyles; ++i) {
      for (std::size_t j = 0; j < kRmBenchStyles; ++j) {
        if (comparisons[r][i][j]) matrix[i][j] += weights[r];
      }
    }
  }
  for (auto& line : matrix) {
    for (double& cell : line) cell /= total;
  }
  return matrix;
}

constexpr std::array<const char*, 4> kMeasures = {"hard", "normal", "easy", "score"};

/// In the order of kMeasures; the score is the mean of the others.
std::array<double, 4> difficulty_scores(const Matrix& m) {
  const double hard = (m[0][1] + m[0][2] + m[1][2]) / 3.0;
  const double normal = (m[0][0] + m[1][1] + m[2][2]) / 3.0;
  const double easy = (m[1][0] + m[2][0] + m[2][1]) / 3.0;
  return {hard, normal, easy, (hard + normal + easy) / 3.0};
}

results::BenchmarkPart part_of_domain(const RmBenchDomain& domain) {
  results::BenchmarkPart part{.name = domain.name};
  part.metrics.add("score", domain.score);
  part.metrics.add("hard", domain.hard);
  part.metrics.add("normal", domain.normal);
  part.metrics.add("easy", domain.easy);
  for (const auto& row : domain.matrix) part.matrix.emplace_back(row.begin(), row.end());
  part.metrics.add_count("num_rows", domain.num_rows);
  part.metrics.add_count("ties", domain.ties);
  part.metrics.add_count("num_comparisons", domain.num_comparisons);
  return part;
}

void add_means(const RmBenchMeans& means, const std::string& suffix, results::Metrics& metrics) {
  metrics.add("overall" + suffix, means.score);
  metrics.add("hard" + suffix, means.hard);
  metrics.add("normal" + suffix, means.normal);
  metrics.add("easy" + suffix, means.easy);
}

/// Domains with rows, in the benchmark's order.
std::vector<RowGroup> domains_of(std::span<const ScoredEvalItem> rows) {
  std::vector<RowGroup> domains;
  for (std::string_view domain : kDomains) {
    RowGroup group{std::string(domain), {}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rm_bench_domain(rows[r].item.subset) == domain) group.rows.push_back(r);
    }
    if (!group.rows.empty()) domains.push_back(std::move(group));
  }
  return domains;
}

std::vector<RowGroup> rows_by_domain(std::span<const ScoredEvalItem> rows) {
  std::vector<std::string> names;
  for (const ScoredEvalItem& row : rows) names.push_back(row.item.subset);
  std::vector<RowGroup> subsets = rows_by_group(names);
  std::sort(subsets.begin(), subsets.end(),
            [](const RowGroup& a, const RowGroup& b) { return a.name < b.name; });
  return subsets;
}

std::vector<Comparisons> compare_all(std::span<const ScoredEvalItem> rows) {
  std::vector<Comparisons> comparisons;
  for (const ScoredEvalItem& row : rows) {
    CHARM_CHECK(
        row.score_chosen.size() == kRmBenchStyles && row.score_rejected.size() == kRmBenchStyles,
        "row {} has {} and {} scores", row.item.id, row.score_chosen.size(),
        row.score_rejected.size());
    CHARM_CHECK(!rm_bench_domain(row.item.subset).empty(), "row {} has domain '{}'", row.item.id,
                row.item.subset);
    comparisons.push_back(compare(row));
  }
  return comparisons;
}

}  // namespace

std::string_view rm_bench_domain(std::string_view name) {
  for (std::string_view domain : kDomains) {
    if (name.starts_with(domain)) return domain;
  }
  return {};
}

MetricSet rm_bench_metrics(std::span<const ScoredEvalItem> rows) {
  MetricSet metric_set;
  for (const ScoredEvalItem& row : rows) {
    metric_set.prompts.push_back(prompt_id_of(row.item.prompt));
    metric_set.groups.push_back(row.item.subset);
  }
  const std::vector<RowGroup> domains = domains_of(rows);
  const std::vector<RowGroup> subsets = rows_by_domain(rows);
  const auto add = [&](Metric::Part part, const std::string& name) {
    for (const char* measure : kMeasures) metric_set.metrics.push_back({part, name, measure});
  };
  for (const RowGroup& domain : domains) add(Metric::Part::kSection, domain.name);
  for (const RowGroup& subset : subsets) add(Metric::Part::kSubset, subset.name);
  add(Metric::Part::kOverall, "");
  metric_set.is_complete = domains.size() == kDomains.size();
  metric_set.statistics = [domains, subsets,
                           comparisons = compare_all(rows)](std::span<const double> weights) {
    std::vector<double> values;
    std::array<double, 4> mean{};
    for (const RowGroup& domain : domains) {
      const auto scores = difficulty_scores(accuracy_matrix(comparisons, domain, weights));
      values.insert(values.end(), scores.begin(), scores.end());
      for (std::size_t k = 0; k < mean.size(); ++k) {
        mean[k] += scores[k] / static_cast<double>(domains.size());
      }
    }
    for (const RowGroup& subset : subsets) {
      const auto scores = difficulty_scores(accuracy_matrix(comparisons, subset, weights));
      values.insert(values.end(), scores.begin(), scores.end());
    }
    values.insert(values.end(), mean.begin(), mean.end());
    return values;
  };
  return metric_set;
}

RmBenchResult rm_bench_result(std::span<const ScoredEvalItem> rows,
                              const BootstrapOptions& options) {
  if (rows.empty()) throw Error(ErrorKind::kInput, "RM-Bench: no rows to evaluate");
  const std::vector<Estimate> estimates = metric_estimates(rm_bench_metrics(rows), options);
  const std::vector<Comparisons> comparisons = compare_all(rows);
  const std::vector<double> ones(rows.size(), 1.0);
  std::size_t next = 0;
  const auto take_domain = [&](const RowGroup& group) {
    RmBenchDomain domain;
    domain.name = group.name;
    domain.matrix = accuracy_matrix(comparisons, group, ones);
    domain.hard = estimates[next++];
    domain.normal = estimates[next++];
    domain.easy = estimates[next++];
    domain.score = estimates[next++];
    domain.num_rows = static_cast<std::int64_t>(group.rows.size());
    for (std::size_t r : group.rows) {
      for (double chosen : rows[r].score_chosen) {
        domain.ties +=
            std::count(rows[r].score_rejected.begin(), rows[r].score_rejected.end(), chosen);
      }
    }
    domain.num_comparisons =
        domain.num_rows * static_cast<std::int64_t>(kRmBenchStyles * kRmBenchStyles);
    return domain;
  };
  RmBenchResult result;
  for (const RowGroup& domain : domains_of(rows)) {
    result.domains.push_back(take_domain(domain));
    result.num_rows += result.domains.back().num_rows;
    result.ties += result.domains.back().ties;
  }
  for (const RowGroup& subset : rows_by_domain(rows)) result.subsets.push_back(take_domain(subset));
  for (std::string_view domain : kDomains) {
    if (std::none_of(result.domains.begin(), result.domains.end(),
                     [&](const RmBenchDomain& found) { return found.name == domain; })) {
      result.missing_domains.emplace_back(domain);
    }
  }
  RmBenchMeans& partial = result.overall_partial;
  partial.hard = estimates[next++];
  partial.normal = estimates[next++];
  partial.easy = estimates[next++];
  partial.score = estimates[next++];
  if (result.missing_domains.empty()) result.overall = partial;
  return result;
}

results::Evaluation evaluation_of(const RmBenchResult& result) {
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(Benchmark::kRmBench))};
  if (result.overall) add_means(*result.overall, "", evaluation.overall);
  add_means(result.overall_partial, "_partial", evaluation.overall);
  evaluation.overall.add_count("num_rows", result.num_rows);
  evaluation.overall.add_count("ties", result.ties);
  evaluation.overall.add_count(
      "num_comparisons",
      result.num_rows * static_cast<std::int64_t>(kRmBenchStyles * kRmBenchStyles));
  for (const RmBenchDomain& domain : result.domains)
    evaluation.sections.push_back(part_of_domain(domain));
  for (const RmBenchDomain& subset : result.subsets)
    evaluation.subsets.push_back(part_of_domain(subset));
  evaluation.missing_sections = result.missing_domains;
  return evaluation;
}

}  // namespace charm::evaluate
