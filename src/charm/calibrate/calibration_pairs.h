#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/stats/outcomes.h"

namespace charm::calibrate {

/// One bootstrap replicate: what the resampled prompts and drawn ratings give.
struct Replicate {
  std::vector<double> ratings;          ///< [policy] Elo points
  std::vector<stats::WinCount> before;  ///< [pair] of the problem
  std::vector<stats::WinCount>
      after;  ///< [pair], at the offsets of the solution, not of the replicate
  std::optional<std::vector<double>>
      offsets;  ///< [policy], found anew; empty where there is no answer
};

/// Same-prompt outcomes of every pair of a problem before and after calibration.
class PairOutcomes {
 public:
  PairOutcomes(const OffsetProblem& problem, std::span<const double> offsets);

  std::vector<stats::WinCount> before() const;
  std::vector<stats::WinCount> after() const;
  std::vector<stats::WinCount> before(std::span<const std::uint32_t> prompt_weights) const;
  std::vector<stats::WinCount> after(std::span<const std::uint32_t> prompt_weights) const;

 private:
  std::vector<stats::WinCount> count(std::span<const stats::Outcomes> outcomes,
                                     std::span<const std::uint32_t> prompt_weights) const;

  const OffsetProblem& problem_;
  std::vector<stats::Outcomes> before_;
  std::vector<stats::Outcomes> after_;
};

/// The results of all ordered pairs, by policy, then reference.
std::vector<CalibratedPair> calibrated_pairs(const OffsetProblem& problem,
                                             const OffsetSolution& solution,
                                             const PairOutcomes& outcomes,
                                             std::span<const ArenaRating> ratings,
                                             std::span<const Replicate> replicates);

}  // namespace charm::calibrate
