#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm {
struct ScoreFile;
}

namespace charm::stats {

struct PairedScoresOptions {
  /// Policy whose file order is the order of rows (blocks of `block:N` follow it); empty: order of
  /// the files.
  std::string first_policy;
  /// Fewer common prompts than this on a pair are an error: intervals and plateaus are meaningless
  /// on a handful.
  std::int64_t min_prompts = 30;
  /// Prompts missing on one side of a pair are an error instead of being dropped and counted.
  bool strict = false;
  /// Only these policies; empty: all that the files hold.
  std::vector<std::string> policies;
};

/// One policy's scores.
struct PolicyScores {
  std::string policy;
  std::string file;
  std::int64_t num_scores = 0;  ///< rows with a score
  std::int64_t num_errors = 0;  ///< rows that carry an error instead; dropped
  double mean_score = 0.0;      ///< score units, over rows with a score
};

/// The common rows of two policies in the table's order, joined on (prompt_id, sample).
struct PairRows {
  std::vector<double> over;
  std::vector<double> ref;
  std::vector<std::uint32_t> key;  ///< of the row, see PairedScores::key
  std::vector<std::uint32_t>
      prompt;                     ///< index of the row's prompt in [0, PairedScores::num_prompts())
  std::int64_t num_prompts = 0;   ///< distinct prompts among the rows
  std::int64_t missing_over = 0;  ///< rows that only `ref` has
  std::int64_t missing_ref = 0;   ///< rows that only `over` has
};

/// What pairs of policies have in common, for people: "1250 common prompts (400 of 1650 are not
/// common)", "300 to 400 common prompts a pair (of 450 in all)".
/// @param num_common   of each pair, at least one
/// @param num_prompts  distinct prompts over all policies
std::string common_prompts_text(std::span<const std::int64_t> num_common, std::int64_t num_prompts);

/// Throws kInput for two names that differ only in case: ratings match names case-insensitively, so
/// such policies would silently share a rating.
void check_distinct_without_case(std::span<const std::string> names);

/// Scores of several policies joined by (prompt_id, sample). Immutable once built; safe to read
/// from many threads.
class PairedScores {
 public:
  /// Throws kInput for a policy that occurs in two files, a repeated (policy, prompt_id, sample), a
  /// score that is not finite, a policy without any score, two names that differ only in case;
  /// kUsage for a requested policy that no file contains.
  PairedScores(std::span<const ScoreFile> files, const PairedScoresOptions& options);

  /// What rows of two policies are joined on.
  struct Key {
    std::string prompt_id;
    std::int32_t sample = 0;
  };
  const Key& key(std::size_t index) const { return keys_[index]; }

  std::size_t num_policies() const { return policies_.size(); }
  const PolicyScores& policy(std::size_t index) const { return policies_[index]; }
  std::vector<std::string> names() const;
  /// Throws kUsage listing the nearest names.
  std::size_t index_of(std::string_view name) const;
  /// Distinct prompts over all policies.
  std::size_t num_prompts() const { return num_prompts_; }

  /// Throws kInput where the two have no common prompt, fewer than min_prompts, or (strict) not the
  /// same prompts.
  PairRows pair(std::size_t over, std::size_t ref) const;

 private:
  struct Row {
    std::uint32_t key;     // (prompt_id, sample) in order of first appearance
    std::uint32_t prompt;  // prompt_id in order of first appearance
    double score;
  };

  PairedScoresOptions options_;
  std::vector<PolicyScores> policies_;
  std::vector<Key> keys_;
  std::vector<std::vector<Row>> rows_;  // [policy], ascending key
  std::size_t num_prompts_ = 0;
};

/// "12 rows carry an error instead of a score and are dropped: a 10, b 2"; empty without such rows.
std::string dropped_rows_text(const PairedScores& scores);

}  // namespace charm::stats
