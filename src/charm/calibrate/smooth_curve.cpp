#include "charm/calibrate/smooth_curve.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::calibrate {

Bracket root_bracket(std::span<const double> over, std::span<const double> ref, double target,
                     double temperature) {
  CHARM_CHECK(!over.empty() && !ref.empty(), "no rows");
  const auto [over_lo, over_hi] = std::minmax_element(over.begin(), over.end());
  const auto [ref_lo, ref_hi] = std::minmax_element(ref.begin(), ref.end());
  const double logit = temperature * std::log(target / (1.0 - target));
  return {.lo = *ref_lo - *over_hi + logit, .hi = *ref_hi - *over_lo + logit};
}

double find_root(const SmoothCurve& curve, double target, Bracket bracket, double start) {
  constexpr double kStep = 1e-11;  // score units; Newton's error after such a step is far smaller
  constexpr double kWinRate = 2e-15;  // rounding of the curve
  constexpr int kMaxSteps = 200;      // bisection alone needs about 50
  double lo = bracket.lo;
  double hi = bracket.hi;
  double offset = std::clamp(start, lo, hi);
  for (int step = 0; step < kMaxSteps && hi - lo > kStep; ++step) {
    const CurvePoint point = curve.at(offset);
    const double gap = point.win_rate - target;
    if (std::abs(gap) <= kWinRate) return offset;
    (gap < 0.0 ? lo : hi) = offset;
    // Every fourth iteration bisects, which bounds the number of slow Newton steps.
    const double newton = offset - gap / point.slope;
    const bool take_newton = point.slope > 1e-9 && newton > lo && newton < hi && step % 4 != 3;
    const double next = take_newton ? newton : 0.5 * (lo + hi);
    if (take_newton && std::abs(next - offset) < kStep) return next;
    offset = next;
  }
  return offset;
}

}  // namespace charm::calibrate
