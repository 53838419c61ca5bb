#include "charm/evaluate/pair_benchmarks.h"

#include <algorithm>
#include <array>
#include <string>

#include "charm/evaluate/picks.h"
#include "charm/evaluate/row_benchmark.h"

namespace charm::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kJudgeBenchSections = {"Knowledge", "Reasoning", "Math",
                                                                 "Coding"};
constexpr std::array<std::string_view, 4> kRmbSections = {
    "BoN helpfulness", "pairwise helpfulness", "BoN harmlessness", "pairwise harmlessness"};
constexpr std::array<std::string_view, 5> kPpeSubsets = {"mmlu-pro", "math", "gpqa", "ifeval",
                                                         "mbpp-plus"};

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

/// What PPE has of a question besides its pairs.
struct QuestionRanking {
  double auc = 0.0;
  double has_both = 0.0;  ///< 1 where the question has right and wrong responses
  double picked = 0.0;    ///< expected rightness of the best-scored response
};

std::vector<QuestionRanking> rankings_of(std::span<const ScoredEvalItem> rows) {
  std::vector<QuestionRanking> rankings;
  for (const ScoredEvalItem& row : rows) {
    QuestionRanking& one = rankings.emplace_back();
    one.picked = expected_pick(row);
    if (row.score_chosen.empty() || row.score_rejected.empty()) continue;
    one.auc = area_under_curve(row);
    one.has_both = 1.0;
  }
  return rankings;
}

void append_ranking(std::span<const QuestionRanking> rankings, std::span<const std::size_t> rows,
                    std::span<const double> weights, std::vector<double>& values) {
  double auc = 0.0, with_both = 0.0, picked = 0.0, total = 0.0;
  for (const std::size_t r : rows) {
    auc += weights[r] * rankings[r].auc;
    with_both += weights[r] * rankings[r].has_both;
    picked += weights[r] * rankings[r].picked;
    total += weights[r];
  }
  values.insert(values.end(), {auc / with_both, picked / total});
}

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

}  // namespace

bool is_pair_benchmark(Benchmark benchmark) {
  return benchmark == Benchmark::kJudgeBench || benchmark == Benchmark::kRmb ||
         benchmark == Benchmark::kPpe;
}

std::span<const std::string_view> pair_benchmark_sections(Benchmark benchmark) {
  if (benchmark == Benchmark::kJudgeBench) return kJudgeBenchSections;
  if (benchmark == Benchmark::kRmb) return kRmbSections;
  return kPpeSubsets;
}

std::string_view pair_benchmark_section(Benchmark benchmark, std::string_view subset) {
  if (benchmark == Benchmark::kJudgeBench) return judge_bench_section(subset);
  if (benchmark == Benchmark::kRmb) return rmb_section(subset);
  const auto place = std::ranges::find(kPpeSubsets, subset);
  return place == kPpeSubsets.end() ? std::string_view() : *place;
}

MetricSet pair_benchmark_metrics(Benchmark benchmark, std::span<const ScoredEvalItem> rows) {
  const std::span<const std::string_view> all_sections = pair_benchmark_sections(benchmark);
  const std::vector<RowGroup> sections = rows_by_section(benchmark, rows, all_sections);
  const std::vector<RowGroup> subsets = rows_by_subset(rows);
  std::vector<QuestionRanking> rankings;
  if (benchmark == Benchmark::kPpe) rankings = rankings_of(rows);
  MetricSet metric_set = metric_set_of(rows);
  const auto add = [&](Metric::Part part, const std::string& name, const char* measure,
                       bool is_proportion = true) {
    metric_set.metrics.push_back({part, name, measure, is_proportion});
  };
  for (const RowGroup& section : sections) {
    add(Metric::Part::kSection, section.name, "score");
    if (rankings.empty()) continue;
    add(Metric::Part::kSection, section.name, "auc", /*is_proportion=*/false);
    add(Metric::Part::kSection, section.name, "best_of_k");
  }
  for (const RowGroup& subset : subsets) add(Metric::Part::kSubset, subset.name, "score");
  add(Metric::Part::kOverall, "", "score");
  metric_set.is_complete = sections.size() == all_sections.size();
  std::vector<std::size_t> everything;  // JudgeBench pools its rows
  if (benchmark == Benchmark::kJudgeBench) {
    for (std::size_t r = 0; r < rows.size(); ++r) everything.push_back(r);
  }
  metric_set.statistics = [=,
                           tallies = tallies_of(benchmark, rows)](std::span<const double> weights) {
    std::vector<double> values;
    double mean = 0.0;
    for (const RowGroup& section : sections) {
      values.push_back(share_correct(tallies, section.rows, weights));
      mean += values.back() / static_cast<double>(sections.size());
      if (!rankings.empty()) append_ranking(rankings, section.rows, weights, values);
    }
    for (const RowGroup& subset : subsets)
      values.push_back(share_correct(tallies, subset.rows, weights));
    values.push_back(everything.empty() ? mean : share_correct(tallies, everything, weights));
    return values;
  };
  return metric_set;
}

}  // namespace charm::evaluate
