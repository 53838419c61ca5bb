#include "charm/evaluate/pair_benchmarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/evaluate/picks.h"
#include "charm/records/conversation.h"

namespace charm::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kJudgeBenchSections = {"Knowledge", "Reasoning", "Math",
                                                                 "Coding"};
constexpr std::array<std::string_view, 4> kRmbSections = {
    "BoN helpfulness", "pairwise helpfulness", "BoN harmlessness", "pairwise harmlessness"};
constexpr std::array<std::string_view, 5> kPpeSubsets = {"mmlu-pro", "math", "gpqa", "ifeval",
                                                         "mbpp-plus"};

std::span<const std::string_view> sections_of(Benchmark benchmark) {
  if (benchmark == Benchmark::kJudgeBench) return kJudgeBenchSections;
  if (benchmark == Benchmark::kRmb) return kRmbSections;
  return kPpeSubsets;
}

// What one row adds to the sums of its group.
struct RowSums {
  double right = 0.0;
  double comparisons = 0.0;
  double auc = 0.0;
  double auc_rows = 0.0;  // 1 where the row has right and wrong texts
  double picked = 0.0;    // expected rightness of the best-scored text
};

double area_under_curve(const ScoredEvalItem& row) {
  double wins = 0.0;
  for (const double right : row.score_chosen) {
    for (const double wrong : row.score_rejected)
      wins += right > wrong ? 1.0 : right == wrong ? 0.5 : 0.0;
  }
  return wins / static_cast<double>(row.score_chosen.size() * row.score_rejected.size());
}

double expected_pick(const ScoredEvalItem& row) {
  std::vector<double> scores = row.score_chosen;
  scores.insert(scores.end(), row.score_rejected.begin(), row.score_rejected.end());
  const std::vector<double> picks = pick_probabilities(scores, scores.size());
  double right = 0.0;
  for (std::size_t i = 0; i < row.score_chosen.size(); ++i) right += picks[i];
  return right;
}

RowSums sums_of(Benchmark benchmark, const ScoredEvalItem& row) {
  RowSums sums;
  const std::vector<bool> comparisons = pair_benchmark_comparisons(benchmark, row);
  sums.right = static_cast<double>(std::ranges::count(comparisons, true));
  sums.comparisons = static_cast<double>(comparisons.size());
  if (benchmark != Benchmark::kPpe) return sums;
  if (!row.score_chosen.empty() && !row.score_rejected.empty()) {
    sums.auc = area_under_curve(row);
    sums.auc_rows = 1.0;
  }
  sums.picked = expected_pick(row);
  return sums;
}

std::int64_t ties_of(Benchmark benchmark, const ScoredEvalItem& row) {
  if (benchmark == Benchmark::kPpe) {
    return std::ranges::count_if(row.item.pairs, [&](const auto& pair) {
      return row.score_chosen[static_cast<std::size_t>(pair[0])] ==
             row.score_rejected[static_cast<std::size_t>(pair[1])];
    });
  }
  return row.score_chosen[0] == std::ranges::max(row.score_rejected) ? 1 : 0;
}

// Sections with rows, in the benchmark's order.
std::vector<RowGroup> section_groups(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  std::vector<RowGroup> groups;
  for (const std::string_view section : sections_of(benchmark)) {
    RowGroup group{std::string(section), {}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (pair_benchmark_section(benchmark, rows[r].item.subset) == section)
        group.rows.push_back(r);
    }
    if (!group.rows.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<RowGroup> subset_groups(std::span<const ScoredEvalItem> rows) {
  std::vector<std::string> names;
  for (const ScoredEvalItem& row : rows) names.push_back(row.item.subset);
  std::vector<RowGroup> groups = rows_by_group(names);
  std::ranges::sort(groups, {}, &RowGroup::name);
  return groups;
}

struct GroupScores {
  double score = 0.0, auc = 0.0, best_of_k = 0.0;
};

GroupScores group_scores(std::span<const RowSums> sums, std::span<const std::size_t> rows,
                         std::span<const double> weights) {
  double right = 0.0, comparisons = 0.0, auc = 0.0, auc_rows = 0.0, picked = 0.0, total = 0.0;
  for (const std::size_t r : rows) {
    right += weights[r] * sums[r].right;
    comparisons += weights[r] * sums[r].comparisons;
    auc += weights[r] * sums[r].auc;
    auc_rows += weights[r] * sums[r].auc_rows;
    picked += weights[r] * sums[r].picked;
    total += weights[r];
  }
  return {.score = right / comparisons, .auc = auc / auc_rows, .best_of_k = picked / total};
}

}  // namespace

std::string_view judge_bench_section(std::string_view source) {
  if (source.starts_with("mmlu-pro")) return kJudgeBenchSections[0];
  if (source == "livebench-reasoning") return kJudgeBenchSections[1];
  if (source == "livebench-math") return kJudgeBenchSections[2];
  return source == "livecodebench" ? kJudgeBenchSections[3] : std::string_view();
}

std::string_view rmb_section(std::string_view category_path) {
  const bool is_best_of_n = category_path.starts_with("BoN_set/");
  if (!is_best_of_n && !category_path.starts_with("Pairwise_set/")) return {};
  const std::string_view goal = category_path.substr(category_path.find('/') + 1);
  if (goal.starts_with("Helpfulness")) return kRmbSections[is_best_of_n ? 0 : 1];
  if (goal.starts_with("Harmlessness")) return kRmbSections[is_best_of_n ? 2 : 3];
  return {};
}

std::span<const std::string_view> ppe_subsets() { return kPpeSubsets; }

std::string_view pair_benchmark_section(Benchmark benchmark, std::string_view subset) {
  if (benchmark == Benchmark::kJudgeBench) return judge_bench_section(subset);
  if (benchmark == Benchmark::kRmb) return rmb_section(subset);
  const auto place = std::ranges::find(kPpeSubsets, subset);
  return place == kPpeSubsets.end() ? std::string_view() : *place;
}

std::vector<bool> pair_benchmark_comparisons(Benchmark benchmark, const ScoredEvalItem& row) {
  if (benchmark != Benchmark::kPpe)
    return {row.score_chosen[0] > std::ranges::max(row.score_rejected)};
  std::vector<bool> right;
  for (const auto& [chosen, rejected] : row.item.pairs) {
    right.push_back(row.score_chosen[static_cast<std::size_t>(chosen)] >
                    row.score_rejected[static_cast<std::size_t>(rejected)]);
  }
  return right;
}

MetricSet pair_benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  const bool is_ppe = benchmark == Benchmark::kPpe;
  MetricSet metric_set;
  std::vector<RowSums> sums;
  std::vector<std::size_t> all;
  for (const ScoredEvalItem& row : rows) {
    metric_set.prompts.push_back(prompt_id_of(row.item.prompt));
    metric_set.groups.push_back(row.item.subset);
    all.push_back(sums.size());
    sums.push_back(sums_of(benchmark, row));
  }
  const std::vector<RowGroup> sections = section_groups(benchmark, rows);
  const std::vector<RowGroup> subsets = subset_groups(rows);
  for (const RowGroup& section : sections) {
    metric_set.metrics.push_back({Metric::Part::kSection, section.name, "score"});
    if (!is_ppe) continue;
    metric_set.metrics.push_back(
        {Metric::Part::kSection, section.name, "auc", /*is_proportion=*/false});
    metric_set.metrics.push_back({Metric::Part::kSection, section.name, "best_of_k"});
  }
  for (const RowGroup& subset : subsets)
    metric_set.metrics.push_back({Metric::Part::kSubset, subset.name, "score"});
  metric_set.metrics.push_back({Metric::Part::kOverall, "", "score"});
  metric_set.is_complete = sections.size() == sections_of(benchmark).size();
  metric_set.statistics = [=](std::span<const double> weights) {
    std::vector<double> values;
    double mean = 0.0;
    for (const RowGroup& section : sections) {
      const GroupScores scores = group_scores(sums, section.rows, weights);
      mean += scores.score / static_cast<double>(sections.size());
      values.push_back(scores.score);
      if (is_ppe) values.insert(values.end(), {scores.auc, scores.best_of_k});
    }
    for (const RowGroup& subset : subsets)
      values.push_back(group_scores(sums, subset.rows, weights).score);
    const bool is_pooled = benchmark == Benchmark::kJudgeBench;
    values.push_back(is_pooled ? group_scores(sums, all, weights).score : mean);
    return values;
  };
  return metric_set;
}

PairBenchmarkResult pair_benchmark_result(Benchmark benchmark, std::span<const ScoredEvalItem> rows,
                                          const BootstrapOptions& options) {
  if (rows.empty())
    throw Error(ErrorKind::kInput, "{}: no rows to evaluate", benchmark_name(benchmark));
  const MetricSet metric_set = pair_benchmark_metrics(benchmark, rows);
  const std::vector<Estimate> estimates = metric_estimates(metric_set, options);
  PairBenchmarkResult result;
  result.num_rows = static_cast<std::int64_t>(rows.size());
  std::size_t next = 0;
  for (const RowGroup& section : section_groups(benchmark, rows)) {
    const auto num_rows = static_cast<std::int64_t>(section.rows.size());
    result.sections.push_back({section.name, estimates[next++], num_rows});
    if (benchmark != Benchmark::kPpe) continue;
    result.auc.push_back({section.name, estimates[next++], num_rows});
    result.best_of_k.push_back({section.name, estimates[next++], num_rows});
  }
  for (const RowGroup& group : subset_groups(rows)) {
    SubsetAccuracy subset{.name = group.name,
                          .section = std::string(pair_benchmark_section(benchmark, group.name)),
                          .accuracy = estimates[next++],
                          .num_rows = static_cast<std::int64_t>(group.rows.size())};
    for (const std::size_t r : group.rows) {
      subset.num_correct += sums_of(benchmark, rows[r]).right;
      subset.ties += ties_of(benchmark, rows[r]);
    }
    result.ties += subset.ties;
    result.subsets.push_back(std::move(subset));
  }
  for (const std::string_view section : sections_of(benchmark)) {
    if (std::ranges::find(result.sections, section, &SectionScore::name) == result.sections.end())
      result.missing_sections.emplace_back(section);
  }
  result.overall_partial = estimates[next];
  if (result.missing_sections.empty()) result.overall = result.overall_partial;
  return result;
}

results::Evaluation evaluation_of(Benchmark benchmark, const PairBenchmarkResult& result) {
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(benchmark))};
  if (result.overall) evaluation.overall.add("overall", *result.overall);
  evaluation.overall.add("overall_partial", result.overall_partial);
  evaluation.overall.add_count("num_rows", result.num_rows);
  evaluation.overall.add_count("ties", result.ties);
  for (std::size_t s = 0; s < result.sections.size(); ++s) {
    const SectionScore& section = result.sections[s];
    results::BenchmarkPart part{.name = section.name};
    part.metrics.add("score", section.score);
    if (s < result.auc.size()) {
      part.metrics.add("auc", result.auc[s].score);
      part.metrics.add("best_of_k", result.best_of_k[s].score);
    }
    part.metrics.add_count("num_rows", section.num_rows);
    evaluation.sections.push_back(std::move(part));
  }
  for (const SubsetAccuracy& subset : result.subsets) evaluation.subsets.push_back(part_of(subset));
  evaluation.missing_sections = result.missing_sections;
  return evaluation;
}

std::string result_text(const PairBenchmarkResult& result) {
  std::vector<std::vector<std::string>> rows = {{"section", "rows", "accuracy"}};
  if (!result.auc.empty()) rows[0].insert(rows[0].end(), {"AUC", "best of k"});
  for (std::size_t s = 0; s < result.sections.size(); ++s) {
    const SectionScore& section = result.sections[s];
    rows.push_back({section.name, std::to_string(section.num_rows), estimate_text(section.score)});
    if (result.auc.empty()) continue;
    rows.back().push_back(estimate_text(result.auc[s].score));
    rows.back().push_back(estimate_text(result.best_of_k[s].score));
  }
  std::string text = text_table(rows);
  if (result.overall)
    return text +
           fmt::format("overall: {} ({} ties)\n", estimate_text(*result.overall), result.ties);
  return text + fmt::format("overall: undefined, missing {}; over those present: {} ({} ties)\n",
                            fmt::join(result.missing_sections, ", "),
                            estimate_text(result.overall_partial), result.ties);
}

}  // namespace charm::evaluate
