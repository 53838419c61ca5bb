#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "charm/report/case_collector.h"
#include "charm/stats/comparisons.h"

namespace charm::report {
namespace {

using stats::Comparison;

/// The recorded scores, or those of the run's folder for results without a record.
std::vector<fs::path> score_inputs(const RunData& run,
                                   const std::vector<results::InputFile>& recorded,
                                   const std::string& model, CaseBuilder& builder) {
  std::vector<fs::path> files = only_scores(builder.find_inputs(recorded));
  if (files.empty()) files = score_files_of(run, model);
  if (files.empty()) builder.note("No cases: no scores of this reward model were found.");
  return files;
}

/// Adds the cell of `policy` against `against`, its comparisons in order.
void add_pair_cell(const std::string& policy, const std::string& against,
                   const std::vector<Comparison>& comparisons, const stats::PairOffsets* offsets,
                   const PolicyScoreFiles& scores, CaseBuilder& builder) {
  const auto add = [&](const Comparison& one) {
    Case added;
    added.prompt_id = one.prompt_id;
    added.sample = one.sample;
    added.a = {.name = policy, .score = one.score_policy};
    added.b = {.name = against, .score = one.score_against};
    if (offsets != nullptr) {
      added.a.score_after = one.score_policy + offsets->policy;
      added.b.score_after = one.score_against + offsets->against;
    }
    // The same whichever of the two is over-valued.
    const auto [first, second] = std::minmax(policy, against);
    const auto [index, is_new] = builder.add_case(
        fmt::format("{}\x1f{}\x1f{}\x1f{}", first, second, one.prompt_id, one.sample),
        std::move(added));
    if (is_new) builder.want_texts(index, scores);
    return index;
  };
  builder.add_cell({.a = policy, .b = against}, comparisons, &Comparison::prompt_id, add);
}

/// A calibration with a share of its own (--holdout) splits the rows of its files by prompt.
/// Without one the held-out prompts came as files of their own (splits of a run), recorded after
/// those of the fit: of each policy the second.
PolicyScoreFiles scores_on(CasePrompts prompts, const CalibrationFile& file,
                           const std::vector<fs::path>& files, CaseBuilder& builder) {
  const bool is_held_out = prompts == CasePrompts::kHeldOut;
  PolicyScoreFiles scores = builder.read_scores(files);
  if (file.held_out && file.held_out->share > 0.0) {
    const std::set<std::string> held_out =
        builder.held_out_prompts(files, file.options.seed, file.held_out->share);
    for (ScoreFile& one : scores.files) {
      std::erase_if(one.rows, [&](const Score& row) {
        return held_out.contains(row.prompt_id) != is_held_out;
      });
    }
    return scores;
  }
  if (!is_held_out) return scores;
  std::vector<fs::path> others = files;
  std::erase_if(others, [&](const fs::path& path) {
    return std::ranges::any_of(scores.file_of,
                               [&](const auto& policy) { return policy.second == path; });
  });
  if (others.empty() && !files.empty())
    builder.note("No cases: the scores of the held-out prompts were not found.");
  return builder.read_scores(others);
}

}  // namespace

void add_mismatch_cases(const RunData& run, const MismatchFile& file, CaseBuilder& builder) {
  const std::string key = run.cases_of(file);
  const bool is_repeated = key != mismatch_cases(file.model);
  builder.begin_group(key,
                      fmt::format("Mismatch degree, {}{}", file.model,
                                  is_repeated ? fmt::format(", {} prompts", file.num_prompts) : ""),
                      "score differences in the direction of the mismatch: of the over-valued "
                      "policy over the other");
  const PolicyScoreFiles scores =
      builder.read_scores(score_inputs(run, file.inputs, file.model, builder));
  if (scores.files.empty()) return;
  const stats::PairedScores table(
      scores.files, {.first_policy = {}, .min_prompts = 1, .strict = false, .policies = {}});
  // Both orders of a pair have the same comparisons: its cell begins with the over-valued policy.
  std::map<std::pair<std::string, std::string>, double> mismatch_of;
  for (const results::Pair& pair : file.pairs)
    mismatch_of[{pair.policy, pair.reference}] = pair.before.mismatch.value;
  for (const auto& [names, mismatch] : mismatch_of) {
    const auto& [policy, against] = names;
    const auto mirror = mismatch_of.find({against, policy});
    const bool is_other_way =
        mirror != mismatch_of.end() &&
        (mirror->second > mismatch || (mirror->second == mismatch && mirror->first < names));
    if (is_other_way) continue;
    if (!scores.file_of.contains(policy) || !scores.file_of.contains(against)) {
      builder.note(fmt::format("{} against {}: no scores were found.", policy, against));
      continue;
    }
    std::vector<Comparison> comparisons =
        stats::compare(table, table.index_of(policy), table.index_of(against));
    stats::sort_comparisons(comparisons, stats::ComparisonOrder::kMargin,
                            /*is_over_valued=*/mismatch >= 0.0);
    add_pair_cell(policy, against, comparisons, nullptr, scores, builder);
  }
}

void add_offset_cells(const RunData& run, const CalibrationFile& file, CasePrompts prompts,
                      CaseBuilder& builder) {
  const PolicyScoreFiles scores =
      scores_on(prompts, file, score_inputs(run, file.inputs, file.model, builder), builder);
  if (scores.files.empty()) return;
  const stats::PairedScores table(
      scores.files, {.first_policy = {}, .min_prompts = 1, .strict = false, .policies = {}});
  double reference_offset = 0.0;
  for (const results::CalibratedPolicy& policy : file.policies) {
    if (policy.policy == file.reference) reference_offset = policy.offset.value;
  }
  for (const results::CalibratedPolicy& policy : file.policies) {
    if (policy.policy == file.reference) continue;
    if (!scores.file_of.contains(policy.policy) || !scores.file_of.contains(file.reference)) {
      builder.note(
          fmt::format("{} against {}: no scores were found.", policy.policy, file.reference));
      continue;
    }
    const stats::PairOffsets offsets{.policy = policy.offset.value, .against = reference_offset};
    std::vector<Comparison> comparisons = stats::compare(table, table.index_of(policy.policy),
                                                         table.index_of(file.reference), offsets);
    stats::sort_comparisons(comparisons, stats::ComparisonOrder::kFlips,
                            /*is_over_valued=*/offsets.margin() < 0.0);
    add_pair_cell(policy.policy, file.reference, comparisons, &offsets, scores, builder);
  }
}

}  // namespace charm::report
