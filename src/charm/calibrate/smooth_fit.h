#pragma once

#include <memory>
#include <span>
#include <vector>

#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/smooth_curve.h"

namespace charm::calibrate {

/// Values of all pairs at the given offsets.
std::vector<PairValue> pair_values(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                   std::span<const PairTerm> terms,
                                   std::span<const double> offsets);

/// Offsets that minimise sum weight * (win rate - target)^2, the reference at 0, by
/// Levenberg-Marquardt from `start`; converged where a step changes no offset by more than 1e-11
/// score units or no longer improves the objective.
std::vector<double> fit_offsets(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                std::span<const PairTerm> terms, std::size_t reference,
                                std::vector<double> start);

}  // namespace charm::calibrate
