#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/stats/elo.h"

namespace charm::stats {

/// Wins and ties of one policy over another, as (resampled) weights: plain counts when every row
/// weighs 1.
struct WinCount {
  double wins = 0.0;
  double ties = 0.0;
  double total = 0.0;

  /// Fraction in [0, 1].
  double win_rate(TieRule rule) const;
  /// The same pair with its policies swapped.
  WinCount mirrored() const { return {.wins = total - wins - ties, .ties = ties, .total = total}; }
};

/// Win, tie or loss of each row at fixed offsets. Rows are compared as `over + offset_over > ref +
/// offset_ref` in double arithmetic, each side rounded once: exactly what building preferences from
/// calibrated scores does.
class Outcomes {
 public:
  Outcomes(std::span<const double> over, std::span<const double> ref, double offset_over = 0.0,
           double offset_ref = 0.0);

  /// Every row counts once.
  WinCount count() const;
  /// Row r counts `prompt_weights[prompt_of_row[r]]` times.
  WinCount count(std::span<const std::uint32_t> prompt_of_row,
                 std::span<const std::uint32_t> prompt_weights) const;

  /// [row] 1 for a win, 0 for a loss, ties by the rule; `is_mirrored`: with the policies swapped.
  std::vector<double> values(TieRule rule, bool is_mirrored = false) const;

 private:
  std::vector<std::uint8_t> outcome_;  // 0 loss, 1 tie, 2 win
};

}  // namespace charm::stats
