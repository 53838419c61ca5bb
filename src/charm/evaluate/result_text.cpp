#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "charm/base/strings.h"
#include "charm/evaluate/arena.h"
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"

namespace charm::evaluate {
namespace {

using TableRow = std::vector<std::string>;

std::string subset_table(std::span<const SubsetAccuracy> subsets) {
  std::vector<TableRow> rows = {{"subset", "rows", "ties", "accuracy"}};
  for (const SubsetAccuracy& subset : subsets) {
    rows.push_back({subset.name, std::to_string(subset.num_rows), std::to_string(subset.ties),
                    estimate_text(subset.accuracy)});
  }
  return text_table(rows);
}

/// "overall: ...", or the reason why it is undefined and the partial one.
std::string overall_line(const std::optional<Estimate>& overall, const Estimate& partial,
                         const std::string& why_none, std::int64_t ties) {
  return overall ? fmt::format("overall: {} ({} ties)\n", estimate_text(*overall), ties)
                 : fmt::format("overall: undefined, {}; over those present: {} ({} ties)\n",
                               why_none, estimate_text(partial), ties);
}

/// How much of the benchmark an overall leaves out; empty for all of it.
std::string missing_rows_text(const std::vector<MissingRows>& incomplete) {
  const std::int64_t num_missing = results::num_missing_rows(incomplete);
  std::vector<std::string> subsets;
  for (const MissingRows& subset : incomplete) {
    if (subset.num_rows >= subset.expected_rows) continue;
    subsets.push_back(
        fmt::format("{} {} of {}", subset.subset, subset.num_rows, subset.expected_rows));
  }
  if (num_missing == 0) return "";
  constexpr std::size_t kListed = 5;
  const std::size_t num_more = subsets.size() - std::min(subsets.size(), kListed);
  subsets.resize(subsets.size() - num_more);
  return fmt::format(
      "part of the benchmark: {} rows are missing ({}{}); not comparable with published results\n",
      num_missing, fmt::join(subsets, ", "),
      num_more == 0 ? "" : fmt::format(" and {} more subsets", num_more));
}

}  // namespace

std::string result_text(const RewardBenchResult& result) {
  std::string text = subset_table(result.subsets);
  for (const SectionScore& section : result.sections) {
    text += fmt::format("{}: {} ({} rows)\n", section.name, estimate_text(section.score),
                        section.num_rows);
  }
  text += overall_line(result.overall, result.overall_partial, "a section is missing", result.ties);
  text += missing_rows_text(result.incomplete);
  if (result.overall_with_prior_sets) {
    text += fmt::format("overall with prior sets: {}\n",
                        estimate_text(*result.overall_with_prior_sets));
  } else if (result.overall_with_prior_sets_partial) {
    text += fmt::format("overall with prior sets: undefined, {}; over those present: {}\n",
                        result.missing_prior_sets.empty()
                            ? "a section is missing"
                            : fmt::format("{} missing", fmt::join(result.missing_prior_sets, ", ")),
                        estimate_text(*result.overall_with_prior_sets_partial));
  }
  return text;
}

std::string result_text(const RewardBench2Result& result) {
  std::string text = subset_table(result.subsets);
  if (result.ties_terms) {
    const TiesTerms& terms = *result.ties_terms;
    text += fmt::format(
        "Ties: accuracy {} with one correct answer, {} with several; correct answers preferred {}, "
        "in both forms {}\n",
        estimate_text(terms.ref_accuracy), estimate_text(terms.tied_accuracy),
        estimate_text(terms.preferred), estimate_text(terms.preferred_hard));
  }
  return text +
         overall_line(result.overall, result.overall_partial, "a subset is missing", result.ties) +
         missing_rows_text(result.incomplete);
}

std::string result_text(const RmBenchResult& result) {
  std::vector<TableRow> rows = {{"domain", "rows", "ties", "hard", "normal", "easy", "score"}};
  for (const RmBenchDomain& domain : result.domains) {
    rows.push_back({domain.name, std::to_string(domain.num_rows), std::to_string(domain.ties),
                    fmt::format("{:.4f}", domain.hard.value),
                    fmt::format("{:.4f}", domain.normal.value),
                    fmt::format("{:.4f}", domain.easy.value), estimate_text(domain.score)});
  }
  std::optional<Estimate> overall;
  if (result.overall) overall = result.overall->score;
  return text_table(rows) +
         overall_line(overall, result.overall_partial.score,
                      fmt::format("{} missing", fmt::join(result.missing_domains, ", ")),
                      result.ties);
}

std::string result_text(const ArenaResult& result) {
  std::vector<TableRow> rows = {
      {fmt::format("{} policies", result.policies.size()), "Spearman", "Kendall", "Pearson"}};
  for (const auto& [name, values] : {std::pair{"mean score against rating", result.mean_score},
                                     std::pair{"win rate against rating", result.win_rate}}) {
    rows.push_back({name, estimate_text(values.spearman), estimate_text(values.kendall),
                    estimate_text(values.pearson)});
  }
  return text_table(rows) + fmt::format("mean |MD| over all ordered pairs: {}\n",
                                        estimate_text(result.mean_abs_mismatch));
}

std::string result_text(const PairDiagnostics& diagnostics) {
  const PairProbabilities& values = diagnostics.probabilities;
  std::string text = fmt::format(
      "pair probabilities: ECE {:.3f}, Brier score {:.3f}, log-loss {:.3f} (chance level: 0.250 "
      "and 0.693)\n",
      values.ece, values.brier.value, values.log_loss.value);
  const LengthCorrelation& length = diagnostics.length;
  if (length.num_pairs > 0 && length.spearman) {
    text += fmt::format(
        "length: Spearman {:.3f} with the score; the longer text scores higher in {:.1f} % of "
        "pairs and is the chosen one in {:.1f} %\n",
        *length.spearman, 100.0 * length.longer_preferred, 100.0 * length.longer_chosen);
  }
  return text;
}

}  // namespace charm::evaluate
