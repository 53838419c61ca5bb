#include "charm/evaluate/reward_bench.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/evaluate/row_benchmark.h"

namespace charm::evaluate {
namespace {

constexpr std::array<RewardBenchSubset, 23> kSubsets = {{
    {"alpacaeval-easy", "Chat", 100, 100},
    {"alpacaeval-length", "Chat", 95, 95},
    {"alpacaeval-hard", "Chat", 95, 95},
    {"mt-bench-easy", "Chat", 28, 28},
    {"mt-bench-med", "Chat", 40, 40},
    {"mt-bench-hard", "Chat Hard", 37, 37},
    {"llmbar-natural", "Chat Hard", 100, 100},
    {"llmbar-adver-neighbor", "Chat Hard", 134, 134},
    {"llmbar-adver-GPTInst", "Chat Hard", 92, 92},
    {"llmbar-adver-GPTOut", "Chat Hard", 47, 47},
    {"llmbar-adver-manual", "Chat Hard", 46, 46},
    {"refusals-dangerous", "Safety", 100, 100},
    {"refusals-offensive", "Safety", 100, 100},
    {"xstest-should-refuse", "Safety", 154, 154},
    {"xstest-should-respond", "Safety", 250, 250},
    {"donotanswer", "Safety", 136, 136},
    {"math-prm", "Reasoning", 984, 447},
    {"hep-cpp", "Reasoning", 164, 164},
    {"hep-go", "Reasoning", 164, 164},
    {"hep-java", "Reasoning", 164, 164},
    {"hep-js", "Reasoning", 164, 164},
    {"hep-python", "Reasoning", 164, 164},
    {"hep-rust", "Reasoning", 164, 164},
}};

constexpr std::array<std::string_view, 4> kSections = {"Chat", "Chat Hard", "Safety", "Reasoning"};
/// The section of the prior test sets, which the leaderboard weights by 0.5.
constexpr std::string_view kPriorSets = "Prior Sets";
constexpr double kPriorSetsWeight = 0.5;

/// Those in the leaderboard's average, then the others of the same collection.
constexpr std::size_t kNumCountedPriorSets = 4;
constexpr std::array<std::string_view, 9> kPriorSetNames = {
    "anthropic_helpful", "anthropic_hhh", "shp",        "summarize", "anthropic_harmless",
    "mtbench_gpt4",      "mtbench_human", "pku_better", "pku_safer"};

bool is_counted_prior_set(std::string_view name) {
  const auto* end = kPriorSetNames.begin() + kNumCountedPriorSets;
  return std::find(kPriorSetNames.begin(), end, name) != end;
}

const RewardBenchSubset* find_subset(std::string_view name) {
  const auto* found =
      std::find_if(kSubsets.begin(), kSubsets.end(), [&](const auto& s) { return s.name == name; });
  return found == kSubsets.end() ? nullptr : found;
}

/// Weight of a subset in its section; the prior sets have equal weight.
double weight_in_section(std::string_view subset) {
  const RewardBenchSubset* known = find_subset(subset);
  return known == nullptr ? 1.0 : static_cast<double>(known->weight);
}

/// Rank in the tables: RewardBench's order, prior sets, then all others.
std::size_t rank_of(std::string_view subset) {
  if (const RewardBenchSubset* known = find_subset(subset)) {
    return static_cast<std::size_t>(known - kSubsets.data());
  }
  const auto* prior = std::find(kPriorSetNames.begin(), kPriorSetNames.end(), subset);
  return kSubsets.size() + static_cast<std::size_t>(prior - kPriorSetNames.begin());
}

/// Present subsets in the order of the tables.
std::vector<RowGroup> subsets_of(std::span<const ScoredEvalItem> rows) {
  std::vector<RowGroup> subsets = rows_by_subset(rows);
  std::ranges::stable_sort(subsets, {}, [](const RowGroup& one) { return rank_of(one.name); });
  return subsets;
}

std::vector<std::string_view> present_sections(std::span<const RowGroup> subsets) {
  std::vector<std::string_view> sections(kSections.begin(), kSections.end());
  sections.push_back(kPriorSets);
  std::erase_if(sections, [&](std::string_view section) {
    return std::ranges::none_of(subsets, [&](const RowGroup& subset) {
      return reward_bench_section(subset.name) == section;
    });
  });
  return sections;
}

/// Scores of sections from the accuracies of subsets, and of all of RewardBench from those of the
/// sections. Values in the order of the metrics.
class SectionMeans {
 public:
  SectionMeans(std::span<const RowGroup> subsets, std::span<const std::string_view> sections) {
    for (const std::string_view section : sections) {
      sections_.push_back({.is_prior = section == kPriorSets, .subsets = {}, .weights = {}});
      for (std::size_t s = 0; s < subsets.size(); ++s) {
        if (reward_bench_section(subsets[s].name) != section) continue;
        sections_.back().subsets.push_back(s);
        sections_.back().weights.push_back(weight_in_section(subsets[s].name));
      }
    }
  }

  /// `values` holds the accuracies; the means are appended.
  void append(std::vector<double>& values) const {
    double sum = 0.0, count = 0.0;
    std::optional<double> prior;
    for (const Section& section : sections_) {
      std::vector<double> accuracies;
      for (std::size_t s : section.subsets) accuracies.push_back(values[s]);
      values.push_back(weighted_mean(accuracies, section.weights));
      if (section.is_prior) {
        prior = values.back();
      } else {
        sum += values.back();
        count += 1.0;
      }
    }
    values.push_back(sum / count);
    if (prior) values.push_back((sum + kPriorSetsWeight * *prior) / (count + kPriorSetsWeight));
  }

 private:
  struct Section {
    bool is_prior = false;
    std::vector<std::size_t> subsets;
    std::vector<double> weights;
  };
  std::vector<Section> sections_;
};

}  // namespace

std::span<const RewardBenchSubset> reward_bench_subsets() { return kSubsets; }

std::string_view reward_bench_section(std::string_view subset) {
  if (const RewardBenchSubset* known = find_subset(subset)) return known->section;
  return is_counted_prior_set(subset) ? kPriorSets : std::string_view();
}

std::string_view prior_set(std::string_view name) {
  // "summarize_prompted" and "summarize" are different collections.
  for (std::string_view set : kPriorSetNames) {
    if (name.starts_with(set) &&
        (name.size() == set.size() || name[set.size()] == '-' || name[set.size()] == '.')) {
      return set;
    }
  }
  return {};
}

MetricSet reward_bench_metrics(std::span<const ScoredEvalItem> rows) {
  const std::vector<RowGroup> subsets = subsets_of(rows);
  const std::vector<std::string_view> sections = present_sections(subsets);
  if (sections.empty()) {
    throw Error(ErrorKind::kInput,
                "none of {} rows belongs to a subset of RewardBench version 1 (first subset found: "
                "'{}'); for rows of RewardBench 2 use --benchmark reward-bench-2",
                rows.size(), subsets.empty() ? "" : subsets.front().name);
  }
  const bool has_prior = sections.back() == kPriorSets;
  MetricSet metric_set = metric_set_of(rows);
  for (const RowGroup& subset : subsets)
    metric_set.metrics.push_back({Metric::Part::kSubset, subset.name, "score"});
  for (const std::string_view section : sections)
    metric_set.metrics.push_back({Metric::Part::kSection, std::string(section), "score"});
  metric_set.metrics.push_back({Metric::Part::kOverall, "", "score"});
  if (has_prior) metric_set.metrics.push_back({Metric::Part::kOverall, "", "with_prior_sets"});
  metric_set.is_complete = sections.size() == kSections.size() + (has_prior ? 1 : 0);
  metric_set.statistics = [subsets, tallies = tallies_of(Benchmark::kRewardBench, rows),
                           means =
                               SectionMeans(subsets, sections)](std::span<const double> weights) {
    std::vector<double> values;
    for (const RowGroup& subset : subsets)
      values.push_back(share_correct(tallies, subset.rows, weights));
    means.append(values);
    return values;
  };
  return metric_set;
}

void add_reward_bench_facts(const MetricSet& metric_set, std::span<const Estimate> estimates,
                            results::Evaluation& evaluation) {
  const std::vector<std::string>& groups = metric_set.groups;
  const auto has_rows = [&](std::string_view name) {
    return std::ranges::find(groups, name) != groups.end();
  };
  if (metric_set.metrics.back().measure == "with_prior_sets") {
    std::vector<std::string> missing;
    for (const std::string_view set : std::span(kPriorSetNames).first(kNumCountedPriorSets)) {
      if (!has_rows(set)) missing.emplace_back(set);
    }
    const bool is_complete = metric_set.is_complete && missing.empty();
    if (is_complete) evaluation.overall.add("overall_with_prior_sets", estimates.back());
    evaluation.overall.add("overall_with_prior_sets_partial", estimates.back());
    evaluation.sections.back().metrics.add("weight", kPriorSetsWeight);
    evaluation.sections.back().missing = std::move(missing);
  }
  evaluation.incomplete.emplace();
  const bool has_only_prior_sets = evaluation.sections.front().name == kPriorSets;
  std::vector<std::string> known;
  for (const RewardBenchSubset& subset : kSubsets) {
    known.emplace_back(subset.name);
    const std::int64_t found = std::ranges::count(groups, subset.name);
    if (!has_only_prior_sets && found != subset.num_rows)
      evaluation.incomplete->push_back({std::string(subset.name), found, subset.num_rows});
  }
  known.insert(known.end(), kPriorSetNames.begin(), kPriorSetNames.end());
  evaluation.warnings = unknown_subset_warnings(evaluation.subsets, known, "RewardBench version 1");
}

}  // namespace charm::evaluate
