#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "charm/base/strings.h"
#include "charm/evaluate/row_benchmark.h"

namespace charm::evaluate {
namespace {

using results::BenchmarkPart;
using results::Evaluation;
using results::Metrics;
using TableRow = std::vector<std::string>;

std::string metric_text(const Metrics& metrics, std::string_view name) {
  const std::optional<Estimate> value = metrics.find(name);
  return value ? estimate_text(*value) : "undefined";
}

std::int64_t count_of(const Metrics& metrics, std::string_view name) {
  const std::optional<Estimate> value = metrics.find(name);
  return value ? std::llround(value->value) : 0;
}

// One line for each part, its counts first.
std::string parts_table(const char* title, const std::vector<BenchmarkPart>& parts) {
  std::vector<TableRow> rows = {{title}};
  for (const bool is_count : {true, false}) {
    for (const Metrics::Entry& entry : parts.front().metrics.values) {
      if (entry.is_count == is_count) rows[0].push_back(entry.name);
    }
  }
  for (const BenchmarkPart& part : parts) {
    rows.push_back({part.name});
    for (std::size_t c = 1; c < rows[0].size(); ++c) {
      const auto entry = std::ranges::find(part.metrics.values, rows[0][c], &Metrics::Entry::name);
      const bool is_count = entry != part.metrics.values.end() && entry->is_count;
      rows.back().push_back(is_count ? fmt::format("{:.0f}", entry->value.value)
                                     : metric_text(part.metrics, rows[0][c]));
    }
  }
  return text_table(rows);
}

// "overall: ...", or what is missing and the partial one.
std::string overall_line(const Evaluation& evaluation) {
  const std::int64_t ties = count_of(evaluation.overall, "ties");
  if (evaluation.overall.find("overall")) {
    return fmt::format("overall: {} ({} ties)\n", metric_text(evaluation.overall, "overall"), ties);
  }
  const std::string missing = evaluation.missing_sections
                                  ? fmt::format("{}", fmt::join(*evaluation.missing_sections, ", "))
                                  : "a section";
  return fmt::format("overall: undefined, {} missing; over those present: {} ({} ties)\n", missing,
                     metric_text(evaluation.overall, "overall_partial"), ties);
}

std::string prior_sets_line(const Evaluation& evaluation) {
  if (evaluation.overall.find("overall_with_prior_sets")) {
    return fmt::format("overall with prior sets: {}\n",
                       metric_text(evaluation.overall, "overall_with_prior_sets"));
  }
  if (!evaluation.overall.find("overall_with_prior_sets_partial")) return "";
  const auto& missing = evaluation.sections.back().missing;
  return fmt::format(
      "overall with prior sets: undefined, {} missing; over those present: {}\n",
      missing && !missing->empty() ? fmt::format("{}", fmt::join(*missing, ", ")) : "a section",
      metric_text(evaluation.overall, "overall_with_prior_sets_partial"));
}

// How much of the benchmark an overall leaves out; empty for all of it.
std::string missing_rows_text(const std::vector<results::MissingRows>& incomplete) {
  const std::int64_t num_missing = results::num_missing_rows(incomplete);
  if (num_missing == 0) return "";
  std::vector<std::string> subsets;
  for (const results::MissingRows& subset : incomplete) {
    if (subset.num_rows >= subset.expected_rows) continue;
    subsets.push_back(
        fmt::format("{} {} of {}", subset.subset, subset.num_rows, subset.expected_rows));
  }
  constexpr std::size_t kListed = 5;
  const std::size_t num_more = subsets.size() - std::min(subsets.size(), kListed);
  subsets.resize(subsets.size() - num_more);
  return fmt::format(
      "part of the benchmark: {} rows are missing ({}{}); not comparable with published results\n",
      num_missing, fmt::join(subsets, ", "),
      num_more == 0 ? "" : fmt::format(" and {} more subsets", num_more));
}

std::string pairs_text(const results::PairNumbers& pairs) {
  const auto value = [](const Metrics& metrics, const char* name) {
    return metrics.find(name).value_or(Estimate{}).value;
  };
  std::string text = fmt::format(
      "pair probabilities: ECE {:.3f}, Brier score {:.3f}, log-loss {:.3f} (chance level: 0.250 "
      "and 0.693)\n",
      value(pairs.probabilities, "ece"), value(pairs.probabilities, "brier"),
      value(pairs.probabilities, "log_loss"));
  if (count_of(pairs.length, "num_pairs") > 0 && pairs.length.find("spearman")) {
    text += fmt::format(
        "length: Spearman {:.3f} with the score; the longer text scores higher in {:.1f} % of "
        "pairs and is the chosen one in {:.1f} %\n",
        value(pairs.length, "spearman"), 100.0 * value(pairs.length, "longer_preferred"),
        100.0 * value(pairs.length, "longer_chosen"));
  }
  return text;
}

std::string rows_text(const Evaluation& evaluation) {
  std::string text;
  // RM-Bench, JudgeBench, RMB and PPE have many subsets or those of their sections.
  if (!evaluation.missing_sections) text += parts_table("subset", evaluation.subsets);
  if (!evaluation.ties_subset.values.empty())
    text += parts_table("terms", {{.name = "Ties", .metrics = evaluation.ties_subset}});
  // Those of RewardBench 2 are its subsets.
  if (evaluation.benchmark != benchmark_name(Benchmark::kRewardBench2))
    text += parts_table("section", evaluation.sections);
  text += overall_line(evaluation);
  if (evaluation.incomplete) text += missing_rows_text(*evaluation.incomplete);
  text += prior_sets_line(evaluation);
  return evaluation.pairs ? text + pairs_text(*evaluation.pairs) : text;
}

std::string arena_text(const Evaluation& evaluation) {
  std::vector<TableRow> rows = {
      {fmt::format("{} policies", evaluation.policies.size()), "Spearman", "Kendall", "Pearson"}};
  for (const auto& [name, values] : {std::pair{"mean score against rating", &evaluation.mean_score},
                                     {"win rate against rating", &evaluation.win_rate}}) {
    rows.push_back({name, metric_text(*values, "spearman"), metric_text(*values, "kendall"),
                    metric_text(*values, "pearson")});
  }
  return text_table(rows) + fmt::format("mean |MD| over all ordered pairs: {}\n",
                                        metric_text(evaluation.overall, "mean_abs_mismatch"));
}

std::string votes_text(const Evaluation& evaluation) {
  const Metrics& overall = evaluation.overall;
  std::vector<TableRow> rows = {{""}};
  for (const Metrics::Entry& measure : evaluation.predictions.front().metrics.values)
    rows.push_back({measure.name});
  for (const BenchmarkPart& prediction : evaluation.predictions) {
    rows[0].push_back(prediction.name == "without_offsets" ? "without offsets"
                      : prediction.name == "with_offsets"  ? "with offsets"
                                                           : prediction.name);
    for (std::size_t m = 1; m < rows.size(); ++m)
      rows[m].push_back(metric_text(prediction.metrics, rows[m][0]));
  }
  return fmt::format("{} votes, {} decided, on {} prompts; temperature {:.4f}\n",
                     count_of(overall, "num_votes"), count_of(overall, "num_decided"),
                     count_of(overall, "num_prompts"), overall.find("temperature")->value) +
         text_table(rows);
}

// "120.4 -> 98.1", "0.031 -> 0.027 (implied 0.044)".
std::string change_text(const results::PickMeasure& measure) {
  const int digits = std::abs(measure.before.value) >= 10.0 ? 1 : 3;
  std::string text = fmt::format("{:.{}f}", measure.before.value, digits);
  if (measure.after) text += fmt::format(" -> {:.{}f}", measure.after->value, digits);
  if (measure.implied) text += fmt::format(" (implied {:.3f})", *measure.implied);
  return text;
}

std::string picks_text(const Evaluation& evaluation) {
  const results::PicksOfN& first = evaluation.picks.front();
  const bool has_after = first.same_pick.has_value();
  std::vector<TableRow> rows = {{"n"}, {"KL, nats"}};
  if (has_after) rows.push_back({"same pick"});
  for (const results::PickMeasure& measure : first.measures) rows.push_back({measure.name});
  for (const results::PickMeasure& policy : first.policies)
    rows.push_back({"share of " + policy.name});
  for (const results::PicksOfN& picks : evaluation.picks) {
    TableRow column = {std::to_string(picks.n), fmt::format("{:.2f}", picks.kl)};
    if (has_after) column.push_back(fmt::format("{:.3f}", picks.same_pick->value));
    for (const auto* measures : {&picks.measures, &picks.policies}) {
      for (const results::PickMeasure& measure : *measures) column.push_back(change_text(measure));
    }
    for (std::size_t r = 0; r < rows.size(); ++r) rows[r].push_back(column[r]);
  }
  return fmt::format("best-of-n on {} prompts with {} responses; means over the picks{}\n",
                     count_of(evaluation.overall, "num_prompts"),
                     count_of(evaluation.overall, "num_candidates"),
                     has_after ? ", before -> after correction" : "") +
         text_table(rows);
}

}  // namespace

std::string result_text(const Evaluation& evaluation) {
  if (!evaluation.picks.empty()) return picks_text(evaluation);
  if (!evaluation.predictions.empty()) return votes_text(evaluation);
  if (!evaluation.policies.empty()) return arena_text(evaluation);
  return rows_text(evaluation);
}

}  // namespace charm::evaluate
