#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"
#include "charm/stats/outcomes.h"

namespace charm::calibrate {

/// Same-prompt outcomes of every pair of a problem before and after calibration.
class PairOutcomes {
 public:
  PairOutcomes(const OffsetProblem& problem, std::span<const double> offsets);

  std::vector<stats::WinCount> before() const;
  std::vector<stats::WinCount> after() const;
  std::vector<stats::WinCount> before(std::span<const std::uint32_t> prompt_weights) const;
  std::vector<stats::WinCount> after(std::span<const std::uint32_t> prompt_weights) const;

  const stats::Outcomes& before_of(std::size_t pair) const { return before_[pair]; }
  const stats::Outcomes& after_of(std::size_t pair) const { return after_[pair]; }

 private:
  std::vector<stats::WinCount> count(std::span<const stats::Outcomes> outcomes,
                                     std::span<const std::uint32_t> prompt_weights) const;

  const OffsetProblem& problem_;
  std::vector<stats::Outcomes> before_;
  std::vector<stats::Outcomes> after_;
};

/// The results of all ordered pairs, by policy, then reference; intervals as the problem's options
/// say.
std::vector<CalibratedPair> calibrated_pairs(const OffsetProblem& problem,
                                             const OffsetSolution& solution,
                                             const PairOutcomes& outcomes,
                                             std::span<const ArenaRating> ratings,
                                             std::span<const Replicate> replicates);

}  // namespace charm::calibrate
