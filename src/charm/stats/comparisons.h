#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "charm/stats/paired_scores.h"

// The comparisons behind the win rate of two policies, and which of them to read first.
namespace charm::stats {

/// Who wins a comparison.
enum class Winner { kPolicy, kTie, kAgainst };

/// Of two scores that both have their offset.
Winner winner_of(double policy, double against);

/// Both policies' scores on one prompt.
struct Comparison {
  std::string prompt_id;
  std::int32_t sample = 0;
  double score_policy = 0.0;
  double score_against = 0.0;
  Winner before = Winner::kTie;
  Winner after = Winner::kTie;  ///< with the offsets; as `before` without them

  double margin() const { return score_policy - score_against; }
  bool flips() const { return before != after; }
};

/// Added to the scores of the two policies.
struct PairOffsets {
  double policy = 0.0;
  double against = 0.0;

  double margin() const { return policy - against; }
};

/// All common rows of two policies, in the table's order.
std::vector<Comparison> compare(const PairedScores& scores, std::size_t policy, std::size_t against,
                                const PairOffsets& offsets = {});

/// Order of comparisons.
enum class ComparisonOrder {
  kFlips,   ///< those that the offset flips, then the others
  kMargin,  ///< by score difference alone
};

/// The largest differences in favour of an over-valued policy come first, of an under-valued one
/// the largest against it: those that a correction has to change.
void sort_comparisons(std::vector<Comparison>& comparisons, ComparisonOrder order,
                      bool is_over_valued);

}  // namespace charm::stats
