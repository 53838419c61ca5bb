#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/step_function.h"

namespace charm::calibrate {

/// The joint objective of same-prompt win rates, piecewise constant in the offsets: the weighted
/// squares of (win rate - target) of every pair, averaged over both directions (they differ where
/// ties lose). Holds references; safe to use from many threads.
class SamePromptObjective {
 public:
  SamePromptObjective(std::span<const StepFunction> curves, std::span<const PairTerm> terms,
                      std::size_t reference, std::size_t num_policies);

  double at(std::span<const double> offsets) const;

  /// Win rate - target of a pair, of its `over` policy.
  double residual(std::size_t pair, std::span<const double> offsets) const;

  /// Offsets of `policy`, ascending, at which the win rate of some pair of it steps: up to
  /// `per_pair` on each side of its current offset.
  std::vector<double> steps_near(std::size_t policy, std::span<const double> offsets,
                                 std::size_t per_pair) const;

  /// Part of the objective that depends on the policy's offset.
  double part_of(std::size_t policy, std::span<const double> offsets) const;

  std::size_t num_policies() const { return pairs_of_.size(); }
  std::size_t reference() const { return reference_; }

 private:
  double term(std::size_t pair, std::span<const double> offsets) const;

  std::span<const StepFunction> curves_;
  std::span<const PairTerm> terms_;
  std::size_t reference_;
  std::vector<std::vector<std::size_t>> pairs_of_;  // [policy]
};

/// Coordinate descent over plateaus until no offset improves, then random restarts nearby, keeping
/// the best. Deterministic: the restarts use a fixed random stream.
std::vector<double> search_offsets(const SamePromptObjective& objective, std::vector<double> start);

/// Moves every offset to the midpoint of its plateau of the objective, the others fixed.
void center_offsets(const SamePromptObjective& objective, std::vector<double>& offsets);

/// The plateau of one policy's offset, on which no pair of it steps, the others fixed; empty if
/// unbounded.
std::optional<stats::Interval> plateau_of(const SamePromptObjective& objective, std::size_t policy,
                                          std::span<const double> offsets);

}  // namespace charm::calibrate
