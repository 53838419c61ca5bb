#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::calibrate {

/// An interval of offsets on which the same-prompt win rate is constant.
struct Plateau {
  stats::Interval offsets;  ///< (lo, hi] where ties lose, (lo, hi) where they count half; lo == hi:
                            ///< a single offset, at a tie
  double offset = 0.0;      ///< the middle
  double win_rate = 0.0;
};

/// The best plateau, or the reason why there is none.
struct PlateauResult {
  enum class Kind {
    kFound,
    kAllEqual,   ///< all differences are the same: every offset gives 0, a tie or all wins
    kUnbounded,  ///< 0 or all wins is nearer to the target than any other win rate
  };
  Kind kind = Kind::kFound;
  std::optional<Plateau> plateau;  ///< the best bounded one, where there is any
  double nearest_win_rate = 0.0;   ///< of the best plateau, bounded or not
};

/// Same-prompt win rate as a function of the offset d: the share of rows with difference + d > 0,
/// where difference = score of the policy - score of the reference. A step at minus each distinct
/// difference. Immutable.
class StepFunction {
 public:
  /// `sorted` ascending; `weights` of the same length, not all 0.
  StepFunction(std::span<const double> sorted, std::span<const double> weights,
               stats::TieRule ties);

  double win_rate(double offset) const;

  /// Win rates of the pair in both directions; under `loss` they add up to less than 1 where rows
  /// tie.
  struct BothDirections {
    double over = 0.0;
    double ref = 0.0;
  };
  BothDirections both_win_rates(double offset) const;

  /// The offset whose win rate is nearest to `target`: the middle of its plateau, or of the union
  /// of two that are equally near. Where ties count half, a single offset at which rows tie is
  /// chosen only when it is nearer by more than one row, because it holds for scores reproduced to
  /// the last bit alone.
  PlateauResult best_plateau(double target) const;

  /// Inverse at `level` of the linear interpolation through the midpoints of the steps: the
  /// quantile of a replicate's offset drawn from its plateau. The outermost step where the level is
  /// out of range.
  double interpolated_offset(double level) const;

  /// The steps: offsets, descending, at which the win rate changes.
  std::size_t num_steps() const { return values_.size(); }
  double step(std::size_t index) const { return -values_[index]; }
  /// Index of the first step whose offset is not above `offset`; num_steps() if none.
  std::size_t first_step_at_or_below(double offset) const;

 private:
  double rate_between(std::size_t index) const;  // offsets between step(index + 1) and step(index)
  double rate_at(std::size_t index) const;       // at step(index) exactly

  stats::TieRule ties_;
  std::vector<double> values_;      // distinct differences, ascending
  std::vector<double> cumulative_;  // [index] weight of differences <= values_[index]
};

/// One pair's differences, sorted once, so that a step function under new row weights takes linear
/// time.
class SortedDifferences {
 public:
  SortedDifferences(std::span<const double> over, std::span<const double> ref, stats::TieRule ties);

  StepFunction curve() const;
  StepFunction curve(std::span<const double> row_weights) const;
  const std::vector<double>& sorted() const { return sorted_; }

 private:
  stats::TieRule ties_;
  std::vector<double> sorted_;
  std::vector<std::uint32_t> row_;  // [rank] row of the difference
};

}  // namespace charm::calibrate
