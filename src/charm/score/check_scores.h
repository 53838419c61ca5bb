#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace charm {
struct Score;
}

namespace charm::score {

/// Default tolerance, relative to max(1, |other score|).
/// float32: 1e-4; programs with another summation order differ by 1e-6 to 1e-5.
/// bfloat16: 0.1; eight bits of mantissa through some thirty layers. Compare float32 with float32
/// for a stricter check.
double default_tolerance(bool bfloat16);

/// A compared row.
struct CheckedScore {
  std::string policy;
  std::string prompt_id;
  std::int32_t sample = 0;
  double ours = 0.0;
  double theirs = 0.0;
  double difference = 0.0;  ///< |ours - theirs|
  double excess = 0.0;      ///< difference / (tolerance * max(1, |theirs|)); above 1 the row fails
};

struct ScoreCheck {
  std::string joined_by;  ///< "policy and prompt_id", "prompt_id" or "row"
  double tolerance = 0.0;
  std::int64_t num_compared = 0;
  std::int64_t num_beyond = 0;      ///< rows beyond the tolerance
  std::int64_t num_only_here = 0;   ///< scored here, without a score there
  std::int64_t num_only_there = 0;  ///< scored there, without a score here
  std::vector<CheckedScore> worst;  ///< at most ten, worst first
  double largest_difference = 0.0;
  double mean_difference = 0.0;
  std::optional<double> spearman;  ///< rank correlation; absent if one side is constant
  bool passed() const { return num_compared > 0 && num_beyond == 0; }
};

/// Compares scores with those of `files` (column `score`; any format the readers accept). Rows are
/// joined on policy, prompt_id and sample; on prompt_id and sample if each side has a single policy
/// under different names; by position if the files have neither prompts nor ids. Throws kInput if
/// no rows match, or if the row counts differ in a join by position.
ScoreCheck check_scores(std::span<const Score> ours,
                        const std::vector<std::filesystem::path>& files, double tolerance);

/// The same for given scores.
ScoreCheck compare_scores(std::span<const Score> ours, std::span<const Score> theirs,
                          double tolerance);

/// Human-readable summary: counts, largest difference, rank correlation, worst rows, verdict.
std::string check_text(const ScoreCheck& check);

}  // namespace charm::score
