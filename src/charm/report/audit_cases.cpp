#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "charm/base/files.h"
#include "charm/evaluate/best_of_n.h"
#include "charm/report/case_collector.h"
#include "charm/storage/manifest.h"

namespace charm::report {
namespace {

using evaluate::Candidate;

constexpr std::int64_t kAnyNumber = std::numeric_limits<std::int64_t>::max();

/// What is picked of all candidates of a prompt, and beside it what the correction picks; where
/// that is the same, the second best.
struct Picks {
  const Candidate* before = nullptr;
  const Candidate* other = nullptr;
  bool is_changed = false;
};

/// Sets `score_after` by the audit's calibration or scores after correction, which stand among the
/// inputs of its manifest. False where it has neither.
bool correct(const EvaluationFile& file, const std::vector<fs::path>& scores,
             std::vector<Candidate>& candidates, CaseBuilder& builder) {
  const nlohmann::ordered_json manifest = storage::read_manifest(file.file);
  std::vector<fs::path> others = builder.find_inputs(recorded_inputs(manifest));
  std::erase_if(others, [&](const fs::path& path) {
    return std::ranges::find(scores, path) != scores.end();
  });
  std::map<std::tuple<std::string, std::string, std::int32_t>, double> after;
  for (const fs::path& path : only_scores(others)) {
    for (const Candidate& row : evaluate::read_candidates(std::vector{path}, kAnyNumber).rows)
      after[{row.policy, row.prompt_id, row.sample}] = row.score;
  }
  std::map<std::string, double> offset_of;
  for (const fs::path& path : others) {
    if (path.extension() != ".json") continue;
    const auto json = nlohmann::ordered_json::parse(read_file(path), nullptr,
                                                    /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("reference")) continue;  // ratings
    for (const auto& policy : results::read_calibration(json, path.string()).policies)
      offset_of[policy.policy] = policy.offset.value;
  }
  if (after.empty() && offset_of.empty()) return false;
  for (Candidate& one : candidates) {
    const auto score = after.find({one.policy, one.prompt_id, one.sample});
    const auto offset = offset_of.find(one.policy);
    if (score != after.end()) one.score_after = score->second;
    if (offset != offset_of.end()) one.score_after = one.score + offset->second;
  }
  // As the audit: responses of policies without an offset are dropped.
  std::erase_if(candidates, [](const Candidate& one) { return !one.score_after; });
  return true;
}

std::vector<Picks> picks_of(const std::vector<Candidate>& candidates) {
  std::map<std::string_view, std::vector<const Candidate*>> prompts;
  for (const Candidate& one : candidates) prompts[one.prompt_id].push_back(&one);
  const auto after = [](const Candidate* one) { return one->score_after.value_or(one->score); };
  std::vector<Picks> picks;
  for (auto& [prompt, rows] : prompts) {
    if (rows.size() < 2) continue;
    std::ranges::stable_sort(rows, std::ranges::greater(), &Candidate::score);
    Picks one{.before = rows[0], .other = *std::ranges::max_element(rows, {}, after)};
    one.is_changed = one.other != one.before;
    if (!one.is_changed) one.other = rows[1];
    picks.push_back(one);
  }
  return picks;
}

/// The prompts on which a measure of the two picks differs most come first.
void sort_by_change(std::vector<Picks>& picks, bool is_corrected,
                    const std::function<double(const Candidate&)>& measure) {
  const auto key = [&](const Picks& one) {
    const bool counts = one.is_changed || !is_corrected;
    const double change = measure(*one.before) - measure(*one.other);
    return std::tuple(counts ? -std::abs(change) : 0.0, one.other->score - one.before->score);
  };
  std::ranges::stable_sort(picks, {}, key);
}

CaseSide side_of(const Candidate& one) {
  return {.name = one.policy, .score = one.score, .score_after = one.score_after, .text = {}};
}

/// Where the texts of an audit's responses are read from.
class AuditCells {
 public:
  AuditCells(const std::vector<fs::path>& scores, CaseBuilder& builder)
      : builder_(builder), scores_(builder.read_scores(scores)) {}

  void add(const std::string& part, const std::vector<Picks>& picks) {
    builder_.add_cell(
        {.part = part}, picks,
        [](const Picks& one) { return std::string_view(one.before->prompt_id); },
        [this](const Picks& one) { return add_case(one); });
  }

 private:
  std::size_t add_case(const Picks& one) {
    Case added;
    added.prompt_id = one.before->prompt_id;
    added.sample = one.before->sample;
    added.a = side_of(*one.before);
    added.b = side_of(*one.other);
    const std::string key =
        fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}", one.before->prompt_id, one.before->policy,
                    one.before->sample, one.other->policy, one.other->sample);
    const auto [index, is_new] = builder_.add_case(key, std::move(added));
    if (!is_new) return index;
    for (const auto& [is_a, side] : {std::pair{true, one.before}, std::pair{false, one.other}}) {
      const auto file = scores_.file_of.find(side->policy);
      if (file == scores_.file_of.end()) continue;
      builder_.want_text(index, is_a, file->second, side->policy, side->prompt_id, side->sample);
    }
    return index;
  }

  CaseBuilder& builder_;
  PolicyScoreFiles scores_;
};

}  // namespace

void add_audit_cases(const EvaluationFile& file, CaseBuilder& builder) {
  builder.begin_group(evaluation_cases(file.model, file.benchmark),
                      "Picks of best-of-n, " + file.model,
                      "prompts on which the row's measure changes most from the pick before to the "
                      "pick after correction (without a correction: to the second best)");
  const std::vector<fs::path> scores = builder.find_inputs(scores_of_evaluation(file));
  if (scores.empty()) return;
  std::vector<Candidate> candidates = evaluate::read_candidates(scores, kAnyNumber).rows;
  const bool is_corrected = correct(file, scores, candidates, builder);
  std::vector<Picks> picks = picks_of(candidates);
  AuditCells cells(scores, builder);
  const results::PicksOfN& rows = file.result.picks.front();
  for (const results::PickMeasure& row : rows.measures) {
    sort_by_change(picks, is_corrected, [&](const Candidate& one) {
      return evaluate::measure_of(one, row.name).value_or(0.0);
    });
    cells.add(row.name, picks);
  }
  for (const results::PickMeasure& row : rows.policies) {
    sort_by_change(picks, is_corrected,
                   [&](const Candidate& one) { return one.policy == row.name ? 1.0 : 0.0; });
    cells.add(share_part(row.name), picks);
  }
}

}  // namespace charm::report
