#include "charm/evaluate/reward_bench_2.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "charm/base/error.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/evaluate/ties_subset.h"
#include "charm/records/conversation.h"

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
/// Of TiesSubset::terms but the last, the score.
constexpr std::array<const char*, 5> kTermNames = {"ref_accuracy", "tied_accuracy", "preferred",
                                                   "preferred_hard", "margin_score"};

std::size_t subset_rank(std::string_view subset) {
  const auto* known = std::find_if(kRewardBench2Subsets.begin(), kRewardBench2Subsets.end(),
                                   [&](const auto& s) { return s.name == subset; });
  return static_cast<std::size_t>(known - kRewardBench2Subsets.begin());
}

/// Known subsets in the benchmark's order, then others.
std::vector<RowGroup> subsets_in_order(std::span<const std::string> groups) {
  std::vector<RowGroup> subsets = rows_by_group(groups);
  std::ranges::stable_sort(subsets, {}, [](const RowGroup& one) { return subset_rank(one.name); });
  return subsets;
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
  const double best =
      std::max(std::ranges::max(row.score_chosen), std::ranges::max(row.score_rejected));
  if (row.score_chosen[0] != best) return 0.0;
  const auto sharing = std::count(row.score_chosen.begin(), row.score_chosen.end(), best) +
                       std::count(row.score_rejected.begin(), row.score_rejected.end(), best);
  return 1.0 / static_cast<double>(sharing);
}

MetricSet reward_bench_2_metrics(std::span<const ScoredEvalItem> rows) {
  MetricSet metric_set = metric_set_of(rows);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!is_ties_subset(rows[r].item.subset)) continue;
    metric_set.groups[r] = kTiesSubset;  // run_v2.py matches the subset case-insensitively
    // The two forms of a question are resampled together.
    if (const auto id = parse_ties_id(rows[r].item.id))
      metric_set.prompts[r] = fmt::format("ties:{}", id->number);
  }
  const std::vector<RowGroup> subsets = subsets_in_order(metric_set.groups);
  if (subsets.empty() || !is_reward_bench_2_subset(subsets.front().name)) {
    throw Error(ErrorKind::kInput,
                "none of {} rows belongs to a subset of RewardBench 2 (first subset found: '{}'); "
                "for rows of version 1 use --benchmark reward-bench",
                rows.size(), subsets.empty() ? "" : subsets.front().name);
  }
  std::size_t num_known = 0;
  std::optional<TiesSubset> ties;
  for (const RowGroup& subset : subsets) {
    metric_set.metrics.push_back({Metric::Part::kSubset, subset.name, "score"});
    num_known += is_reward_bench_2_subset(subset.name);
    if (subset.name == kTiesSubset) ties.emplace(rows, subset.rows);
  }
  if (ties) {
    for (const char* term : kTermNames) {
      metric_set.metrics.push_back({Metric::Part::kSubset, std::string(kTiesSubset), term,
                                    /*is_proportion=*/term != kTermNames.back()});
    }
  }
  metric_set.metrics.push_back({Metric::Part::kOverall, "", "score"});
  metric_set.is_complete = num_known == kRewardBench2Subsets.size();
  metric_set.statistics = [subsets, num_known, ties,
                           tallies = tallies_of(Benchmark::kRewardBench2, rows)](
                              std::span<const double> weights) {
    std::vector<double> values;
    double sum = 0.0;
    std::array<double, 6> terms{};
    if (ties) terms = ties->terms(weights);
    for (const RowGroup& subset : subsets) {
      values.push_back(subset.name == kTiesSubset ? terms.back()
                                                  : share_correct(tallies, subset.rows, weights));
      if (is_reward_bench_2_subset(subset.name)) sum += values.back();
    }
    if (ties) values.insert(values.end(), terms.begin(), terms.end() - 1);
    values.push_back(sum / static_cast<double>(num_known));
    return values;
  };
  return metric_set;
}

void add_reward_bench_2_facts(const MetricSet& metric_set, std::span<const Estimate> estimates,
                              std::span<const ScoredEvalItem> rows,
                              results::Evaluation& evaluation) {
  std::vector<std::string> known;
  evaluation.incomplete.emplace();
  for (const KnownSubset& subset : kRewardBench2Subsets) {
    known.emplace_back(subset.name);
    const std::int64_t found = std::ranges::count(metric_set.groups, subset.name);
    if (found != subset.num_rows)
      evaluation.incomplete->push_back({std::string(subset.name), found, subset.num_rows});
  }
  std::vector<std::string> warnings =
      unknown_subset_warnings(evaluation.subsets, known, "RewardBench 2");
  const std::vector<RowGroup> subsets = subsets_in_order(metric_set.groups);
  for (std::size_t s = 0; s < subsets.size(); ++s) {
    const auto& [name, members] = subsets[s];
    if (is_reward_bench_2_subset(name)) {
      evaluation.sections.push_back({.name = name});
      evaluation.sections.back().metrics.add("score", estimates[s]);
      evaluation.sections.back().metrics.add_count("num_rows", std::ssize(members));
    }
    if (name != kTiesSubset) {
      if (std::ranges::any_of(members,
                              [&](std::size_t r) { return rows[r].score_chosen.size() > 1; })) {
        warnings.push_back(
            fmt::format("subset '{}' has rows with several chosen texts: outside of Ties the first "
                        "one must have the best score, as in rewardbench",
                        name));
      }
      continue;
    }
    const TiesSubset ties(rows, members);
    for (std::size_t t = 0; t < kTermNames.size(); ++t)
      evaluation.ties_subset.add(kTermNames[t], estimates[subsets.size() + t]);
    evaluation.ties_subset.add("score", estimates[s]);
    evaluation.ties_subset.add_count("num_questions",
                                     static_cast<std::int64_t>(ties.num_questions()));
    if (ties.num_unpaired() > 0) {
      warnings.push_back(fmt::format(
          "subset Ties: {} rows lack the other row of their question (ref:N and tied:N)",
          ties.num_unpaired()));
    }
    if (!std::isfinite(estimates[s].value)) {
      warnings.emplace_back(
          "subset Ties: no question has several correct answers, so its score is undefined");
    }
  }
  evaluation.warnings = std::move(warnings);
}

}  // namespace charm::evaluate
