#include "charm/score/check_scores.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/records/score.h"
#include "charm/stats/descriptive.h"
#include "charm/storage/published_scores.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::score {
namespace {

constexpr std::size_t kWorstRows = 10;

using Key = std::tuple<std::string, std::string, std::int32_t>;

/// Whether rows have a prompt or prompt id.
bool has_prompts(const fs::path& file) {
  storage::RowReader reader(file, {}, {"prompt_id", "prompt", "instruction", "messages"});
  const storage::RowView* row = reader.next();
  return row != nullptr && (row->has("prompt_id") || row->has("prompt") ||
                            row->has("instruction") || row->has("messages"));
}

/// The scores of files that RewardBench's leaderboards publish; empty for other files.
std::optional<std::vector<Score>> published_scores(const std::vector<fs::path>& files) {
  std::vector<Score> all;
  for (const fs::path& file : files) {
    const auto rows = storage::read_published_scores(file);
    if (!rows) return std::nullopt;
    for (Score& score : storage::scores_of(*rows)) all.push_back(std::move(score));
  }
  return all;
}

/// Scores only, in file order.
std::vector<storage::ScoreField> read_bare_scores(const fs::path& file) {
  std::vector<storage::ScoreField> scores;
  storage::RowReader reader(file, {}, {"score", "error"});
  while (const storage::RowView* row = reader.next()) {
    try {
      scores.push_back(storage::score_field(*row));
    } catch (const Error& error) {
      reader.reject(error.message());
    }
  }
  reader.finish();
  return scores;
}

std::vector<Score> by_position(std::span<const Score> ours, const std::vector<fs::path>& files) {
  std::vector<Score> theirs;
  for (const fs::path& file : files) {
    for (storage::ScoreField& field : read_bare_scores(file)) {
      Score score;
      score.score = field.score;
      score.error = std::move(field.error);
      if (theirs.size() < ours.size()) {
        const Score& row = ours[theirs.size()];
        score.policy = row.policy;
        score.prompt_id = row.prompt_id;
        score.sample = row.sample;
      }
      theirs.push_back(std::move(score));
    }
  }
  if (theirs.size() != ours.size()) {
    throw Error(ErrorKind::kInput,
                "{}: has neither prompt_id nor prompt, so its rows can only be joined by position, "
                "but it has {} rows and {} were scored",
                files.front().string(), theirs.size(), ours.size());
  }
  return theirs;
}

/// If each side has a single policy with different names (a file without a policy column is named
/// after the file), uses our name.
void rename_single_policy(std::span<const Score> ours, std::vector<Score>& theirs) {
  std::set<std::string> here, there;
  for (const Score& row : ours) here.insert(row.policy);
  for (const Score& score : theirs) there.insert(score.policy);
  if (here.size() != 1 || there.size() != 1) return;
  for (Score& score : theirs) score.policy = *here.begin();
}

std::string names(const std::set<std::string>& policies) {
  std::string text;
  for (const std::string& policy : policies) text += (text.empty() ? "" : ", ") + policy;
  return text;
}

}  // namespace

double default_tolerance(bool bfloat16) { return bfloat16 ? 0.1 : 1e-4; }

ScoreCheck compare_scores(std::span<const Score> ours, std::span<const Score> theirs,
                          double tolerance) {
  std::map<Key, const Score*> by_key;
  for (const Score& score : theirs) by_key[{score.policy, score.prompt_id, score.sample}] = &score;
  ScoreCheck check;
  check.joined_by = "policy and prompt_id";
  check.tolerance = tolerance;
  std::vector<CheckedScore> rows;
  std::set<Key> matched;
  for (const Score& row : ours) {
    const Key key{row.policy, row.prompt_id, row.sample};
    const auto found = by_key.find(key);
    const bool scored_there = found != by_key.end() && !found->second->error;
    if (row.error || !scored_there) {
      check.num_only_here += row.error ? 0 : 1;
      continue;
    }
    matched.insert(key);
    CheckedScore checked;
    checked.policy = row.policy;
    checked.prompt_id = row.prompt_id;
    checked.sample = row.sample;
    checked.ours = row.score;
    checked.theirs = found->second->score;
    checked.difference = std::abs(checked.ours - checked.theirs);
    checked.excess = checked.difference / (tolerance * std::max(1.0, std::abs(checked.theirs)));
    check.num_beyond += checked.excess > 1.0 ? 1 : 0;
    check.mean_difference += checked.difference;
    check.largest_difference = std::max(check.largest_difference, checked.difference);
    rows.push_back(std::move(checked));
  }
  for (const auto& [key, score] : by_key)
    check.num_only_there += !score->error && !matched.contains(key) ? 1 : 0;
  check.num_compared = static_cast<std::int64_t>(rows.size());
  if (rows.empty()) return check;
  check.mean_difference /= static_cast<double>(rows.size());
  std::vector<double> x, y;
  for (const CheckedScore& row : rows) {
    x.push_back(row.ours);
    y.push_back(row.theirs);
  }
  check.spearman = stats::spearman(x, y);
  std::stable_sort(rows.begin(), rows.end(), [](const CheckedScore& a, const CheckedScore& b) {
    return a.excess > b.excess;
  });
  rows.resize(std::min(rows.size(), kWorstRows));
  check.worst = std::move(rows);
  return check;
}

ScoreCheck check_scores(std::span<const Score> ours, const std::vector<fs::path>& files,
                        double tolerance) {
  if (const std::optional<std::vector<Score>> published = published_scores(files)) {
    ScoreCheck check = compare_scores(ours, *published, tolerance);
    check.joined_by = "subset and id";
    if (check.num_compared > 0) return check;
    throw Error(ErrorKind::kInput,
                "{}: RewardBench's published scores, but no row scored here has the subset and id "
                "of one there; expected --responses with the benchmark's own rows (prompt, chosen, "
                "rejected, subset, id)",
                files.front().string());
  }
  if (!has_prompts(files.front())) {
    ScoreCheck check = compare_scores(ours, by_position(ours, files), tolerance);
    check.joined_by = "row";
    return check;
  }
  const std::vector<Score> theirs = storage::read_score_files(files, {});
  ScoreCheck check = compare_scores(ours, theirs, tolerance);
  if (check.num_compared == 0) {
    std::vector<Score> renamed = theirs;
    rename_single_policy(ours, renamed);
    check = compare_scores(ours, renamed, tolerance);
    check.joined_by = "prompt_id";
  }
  if (check.num_compared == 0) {
    std::set<std::string> here, there;
    for (const Score& row : ours) here.insert(row.policy);
    for (const Score& score : theirs) there.insert(score.policy);
    throw Error(
        ErrorKind::kInput,
        "{}: no row has the policy and prompt_id of a row scored here; its policies: {}; here: {}",
        files.front().string(), names(there), names(here));
  }
  return check;
}

std::string check_text(const ScoreCheck& check) {
  std::string text = fmt::format(
      "{} rows compared, joined by {}; {} without a score there, {} without a score here\n",
      check.num_compared, check.joined_by, check.num_only_here, check.num_only_there);
  text += fmt::format(
      "difference: largest {:.3g}, mean {:.3g}; rank correlation (Spearman): {}\n",
      check.largest_difference, check.mean_difference,
      check.spearman ? fmt::format("{:.6f}", *check.spearman) : "none, one side is constant");
  text += "worst rows (here, there, difference):\n";
  for (const CheckedScore& row : check.worst) {
    text += fmt::format("  {} {}{}: {:.6f} {:.6f} {:.3g}{}\n", row.policy, row.prompt_id,
                        row.sample == 0 ? "" : fmt::format(" sample {}", row.sample), row.ours,
                        row.theirs, row.difference, row.excess > 1.0 ? "  beyond" : "");
  }
  text += fmt::format("verdict: {}: {} of {} rows beyond {:g} of max(1, |score there|)\n",
                      check.passed() ? "equal" : "DIFFERENT", check.num_beyond, check.num_compared,
                      check.tolerance);
  return text;
}

}  // namespace charm::score
