#include "charm/evaluate/reward_bench_2.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/ties_subset.h"

namespace charm::evaluate {
namespace {

struct KnownSubset {
  std::string_view name;
  std::int64_t num_rows = 0;
};

/// allenai/reward-bench-2, split test: 1,865 rows.
constexpr std::array<KnownSubset, 6> kRewardBench2Subsets = {{{"Factuality", 475},
                                                              {"Precise IF", 160},
                                                              {"Math", 183},
                                                              {"Safety", 450},
                                                              {"Focus", 495},
                                                              {kTiesSubset, 102}}};
constexpr std::array<const char*, 6> kTermNames = {"ref_accuracy",   "tied_accuracy", "preferred",
                                                   "preferred_hard", "margin_score",  "score"};

std::size_t subset_rank(std::string_view subset) {
  const auto* known = std::find_if(kRewardBench2Subsets.begin(), kRewardBench2Subsets.end(),
                                   [&](const auto& s) { return s.name == subset; });
  return static_cast<std::size_t>(known - kRewardBench2Subsets.begin());
}

double highest(const std::vector<double>& scores) {
  return *std::max_element(scores.begin(), scores.end());
}

bool has_tie(const ScoredEvalItem& row) {
  const double correct = is_ties_subset(row.item.subset)
                             ? *std::min_element(row.score_chosen.begin(), row.score_chosen.end())
                             : row.score_chosen[0];
  return correct == highest(row.score_rejected);
}

std::vector<std::string> groups_of(std::span<const ScoredEvalItem> rows) {
  std::vector<std::string> groups;
  for (const ScoredEvalItem& row : rows) {
    // run_v2.py matches the subset case-insensitively.
    groups.emplace_back(is_ties_subset(row.item.subset) ? std::string(kTiesSubset)
                                                        : row.item.subset);
  }
  return groups;
}

/// Known subsets in the benchmark's order, then others.
std::vector<RowGroup> rows_by_subset(std::span<const ScoredEvalItem> rows) {
  std::vector<RowGroup> subsets = rows_by_group(groups_of(rows));
  std::stable_sort(subsets.begin(), subsets.end(), [](const RowGroup& a, const RowGroup& b) {
    return subset_rank(a.name) < subset_rank(b.name);
  });
  return subsets;
}

/// Statistic of one subset.
struct SubsetCount {
  std::vector<std::size_t> rows;
  std::vector<double> results;
  std::shared_ptr<const TiesSubset> ties;  ///< for the Ties subset alone
  bool is_known = false;

  double value(std::span<const double> weights) const {
    if (ties) return ties->terms(weights).back();
    double sum = 0.0, total = 0.0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sum += weights[rows[i]] * results[i];
      total += weights[rows[i]];
    }
    return sum / total;
  }
};

std::vector<SubsetCount> subset_counts(std::span<const ScoredEvalItem> rows,
                                       std::span<const RowGroup> subsets) {
  std::vector<SubsetCount> counts;
  for (const RowGroup& subset : subsets) {
    SubsetCount count;
    count.rows = subset.rows;
    count.is_known = is_reward_bench_2_subset(subset.name);
    if (subset.name == kTiesSubset) {
      count.ties = std::make_shared<const TiesSubset>(rows, subset.rows);
    } else {
      for (std::size_t r : subset.rows) count.results.push_back(best_of_n_result(rows[r]));
    }
    counts.push_back(std::move(count));
  }
  return counts;
}

}  // namespace

bool is_reward_bench_2_subset(std::string_view subset) {
  return subset_rank(subset) < kRewardBench2Subsets.size();
}

bool is_ties_subset(std::string_view subset) {
  return subset.size() == kTiesSubset.size() &&
         std::equal(subset.begin(), subset.end(), kTiesSubset.begin(),
                    [](char a, char b) { return (a | 0x20) == (b | 0x20); });
}

std::optional<TiesId> parse_ties_id(std::string_view id) {
  const std::size_t colon = id.find(':');
  if (colon == std::string_view::npos) return {};
  const std::string_view kind = id.substr(0, colon);
  if (kind != "ref" && kind != "tied") return {};
  TiesId parsed{.is_tied = kind == "tied"};
  const char* begin = id.data() + colon + 1;
  const char* end = id.data() + id.size();
  const auto [stop, error] = std::from_chars(begin, end, parsed.number);
  if (error != std::errc() || stop != end || begin == end) return {};
  return parsed;
}

double best_of_n_result(const ScoredEvalItem& row) {
  const double best = std::max(highest(row.score_chosen), highest(row.score_rejected));
  if (row.score_chosen[0] != best) return 0.0;
  const auto sharing = std::count(row.score_chosen.begin(), row.score_chosen.end(), best) +
                       std::count(row.score_rejected.begin(), row.score_rejected.end(), best);
  return 1.0 / static_cast<double>(sharing);
}

bool ties_row_is_accurate(const ScoredEvalItem& row) {
  return *std::min_element(row.score_chosen.begin(), row.score_chosen.end()) >
         highest(row.score_rejected);
}

MetricSet reward_bench_2_metrics(std::span<const ScoredEvalItem> rows) {
  const std::vector<RowGroup> subsets = rows_by_subset(rows);
  MetricSet metric_set;
  metric_set.groups = groups_of(rows);
  for (const ScoredEvalItem& row : rows) {
    // The two forms of a Ties question are resampled together.
    const auto id = is_ties_subset(row.item.subset) ? parse_ties_id(row.item.id) : std::nullopt;
    metric_set.prompts.push_back(id ? fmt::format("ties:{}", id->number)
                                    : prompt_id_of(row.item.prompt));
  }
  std::size_t num_known = 0;
  bool has_ties = false;
  for (const RowGroup& subset : subsets) {
    metric_set.metrics.push_back({Metric::Part::kSubset, subset.name, "score"});
    num_known += is_reward_bench_2_subset(subset.name);
    has_ties |= subset.name == kTiesSubset;
  }
  if (has_ties) {
    for (std::size_t t = 0; t + 1 < kTermNames.size(); ++t) {
      metric_set.metrics.push_back({Metric::Part::kSubset, std::string(kTiesSubset), kTermNames[t],
                                    /*is_proportion=*/t + 2 < kTermNames.size()});
    }
  }
  if (num_known > 0) metric_set.metrics.push_back({Metric::Part::kOverall, "", "score"});
  metric_set.is_complete = num_known == kRewardBench2Subsets.size();
  metric_set.statistics = [counts = subset_counts(rows, subsets)](std::span<const double> weights) {
    std::vector<double> values;
    double sum = 0.0, num_counted = 0.0;
    const TiesSubset* ties = nullptr;
    for (const SubsetCount& count : counts) {
      values.push_back(count.value(weights));
      if (count.ties) ties = count.ties.get();
      if (!count.is_known) continue;
      sum += values.back();
      num_counted += 1.0;
    }
    if (ties != nullptr) {
      const auto terms = ties->terms(weights);
      values.insert(values.end(), terms.begin(), terms.end() - 1);
    }
    if (num_counted > 0.0) values.push_back(sum / num_counted);
    return values;
  };
  return metric_set;
}

RewardBench2Result reward_bench_2_result(std::span<const ScoredEvalItem> rows,
                                         const BootstrapOptions& options) {
  const std::vector<RowGroup> subsets = rows_by_subset(rows);
  if (subsets.empty() || !is_reward_bench_2_subset(subsets.front().name)) {
    throw Error(ErrorKind::kInput,
                "none of {} rows belongs to a subset of RewardBench 2 (first subset found: '{}'); "
                "for rows of version 1 use --benchmark reward-bench",
                rows.size(), subsets.empty() ? "" : subsets.front().name);
  }
  const std::vector<Estimate> estimates = metric_estimates(reward_bench_2_metrics(rows), options);

  RewardBench2Result result;
  std::vector<std::string> known;
  for (const KnownSubset& subset : kRewardBench2Subsets) known.emplace_back(subset.name);
  std::size_t next = 0, num_known = 0;
  for (const RowGroup& subset : subsets) {
    SubsetAccuracy accuracy;
    accuracy.name = subset.name;
    if (is_reward_bench_2_subset(subset.name)) accuracy.section = subset.name;
    accuracy.accuracy = estimates[next++];
    accuracy.num_rows = static_cast<std::int64_t>(subset.rows.size());
    const bool is_ties = subset.name == kTiesSubset;
    bool has_more_chosen = false;
    for (std::size_t r : subset.rows) {
      accuracy.num_correct +=
          is_ties ? (ties_row_is_accurate(rows[r]) ? 1.0 : 0.0) : best_of_n_result(rows[r]);
      accuracy.ties += has_tie(rows[r]);
      has_more_chosen |= !is_ties && rows[r].score_chosen.size() > 1;
    }
    if (has_more_chosen) {
      result.warnings.push_back(
          fmt::format("subset '{}' has rows with several chosen texts: outside of Ties the first "
                      "one must have the best score, as in rewardbench",
                      subset.name));
    }
    if (is_reward_bench_2_subset(subset.name)) {
      ++num_known;
    } else {
      result.warnings.push_back(unknown_subset_warning(accuracy, known, "RewardBench 2"));
    }
    result.num_rows += accuracy.num_rows;
    result.ties += accuracy.ties;
    result.subsets.push_back(std::move(accuracy));
  }
  for (std::size_t s = 0; s < subsets.size(); ++s) {
    if (subsets[s].name != kTiesSubset) continue;
    const TiesSubset ties(rows, subsets[s].rows);
    const Estimate* term = &estimates[next];
    result.ties_terms = {term[0],
                         term[1],
                         term[2],
                         term[3],
                         term[4],
                         result.subsets[s].accuracy,
                         static_cast<std::int64_t>(ties.num_questions())};
    next += kTermNames.size() - 1;
    if (ties.num_unpaired() > 0) {
      result.warnings.push_back(fmt::format(
          "subset Ties: {} rows lack the other row of their question (ref:N and tied:N)",
          ties.num_unpaired()));
    }
    if (!std::isfinite(result.subsets[s].accuracy.value)) {
      result.warnings.emplace_back(
          "subset Ties: no question has several correct answers, so its score is undefined");
    }
  }
  result.overall_partial = estimates[next];
  if (num_known == kRewardBench2Subsets.size()) result.overall = result.overall_partial;
  for (const KnownSubset& expected : kRewardBench2Subsets) {
    const std::int64_t found = num_rows_of(result.subsets, expected.name);
    if (found != expected.num_rows) {
      result.incomplete.push_back({std::string(expected.name), found, expected.num_rows});
    }
  }
  return result;
}

results::Evaluation evaluation_of(const RewardBench2Result& result) {
  results::Evaluation evaluation{.benchmark =
                                     std::string(benchmark_name(Benchmark::kRewardBench2))};
  if (result.overall) evaluation.overall.add("overall", *result.overall);
  evaluation.overall.add("overall_partial", result.overall_partial);
  evaluation.overall.add_count("num_rows", result.num_rows);
  evaluation.overall.add_count("ties", result.ties);
  for (const SubsetAccuracy& subset : result.subsets) {
    evaluation.subsets.push_back(part_of(subset));
    if (subset.section.empty()) continue;
    evaluation.sections.push_back(
        part_of(SectionScore{subset.name, subset.accuracy, subset.num_rows}));
  }
  if (result.ties_terms) {
    const TiesTerms& terms = *result.ties_terms;
    const std::array<const Estimate*, 6> values = {&terms.ref_accuracy, &terms.tied_accuracy,
                                                   &terms.preferred,    &terms.preferred_hard,
                                                   &terms.margin_score, &terms.score};
    for (std::size_t t = 0; t < values.size(); ++t)
      evaluation.ties_subset.add(kTermNames[t], *values[t]);
    evaluation.ties_subset.add_count("num_questions", terms.num_questions);
  }
  evaluation.incomplete = result.incomplete;
  evaluation.warnings = result.warnings;
  return evaluation;
}

}  // namespace charm::evaluate
