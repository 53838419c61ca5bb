#include "charm/calibrate/smooth_fit.h"

#include <algorithm>
#include <cmath>

namespace charm::calibrate {

std::vector<PairValue> pair_values(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                   std::span<const PairTerm> terms,
                                   std::span<const double> offsets) {
  std::vector<PairValue> values;
  values.reserve(terms.size());
  for (std::size_t p = 0; p < terms.size(); ++p) {
    const CurvePoint point = curves[p]->at(offsets[terms[p].over] - offsets[terms[p].ref]);
    values.push_back({.residual = point.win_rate - terms[p].target, .slope = point.slope});
  }
  return values;
}

std::vector<double> fit_offsets(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                std::span<const PairTerm> terms, std::size_t reference,
                                std::vector<double> start) {
  constexpr double kStep = 1e-11;
  constexpr int kMaxSteps = 300;
  std::vector<double> offsets = std::move(start);
  std::vector<PairValue> values = pair_values(curves, terms, offsets);
  double objective = sum_of_squares(terms, values);
  double damping = 1e-3;
  for (int step = 0; step < kMaxSteps; ++step) {
    const auto change = least_squares_step(offsets.size(), reference, terms, values, damping);
    std::vector<double> next = offsets;
    double largest = 0.0;
    for (std::size_t i = 0; i < next.size(); ++i) {
      next[i] += change[i];
      largest = std::max(largest, std::abs(change[i]));
    }
    auto next_values = pair_values(curves, terms, next);
    const double next_objective = sum_of_squares(terms, next_values);
    if (next_objective < objective) {
      offsets = std::move(next);
      values = std::move(next_values);
      objective = next_objective;
      damping = std::max(1e-12, damping * 0.1);
    } else {
      damping *= 10.0;
    }
    if (largest < kStep || damping > 1e12) break;
  }
  return offsets;
}

}  // namespace charm::calibrate
