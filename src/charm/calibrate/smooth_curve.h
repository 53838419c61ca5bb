#pragma once

#include <span>

namespace charm::calibrate {

struct CurvePoint {
  double win_rate = 0.0;  ///< in [0, 1]
  double slope = 0.0;     ///< per score unit, not negative
};

/// Win rate as a smooth, non-decreasing function of the offset. Immutable; safe to read from many
/// threads.
class SmoothCurve {
 public:
  virtual ~SmoothCurve() = default;
  virtual CurvePoint at(double offset) const = 0;
};

/// Offsets that bracket a root.
struct Bracket {
  double lo = 0.0;
  double hi = 0.0;
};

/// At these offsets every pair's sigmoid is on one side of the target, hence so is any mean of
/// them. 0 < target < 1.
Bracket root_bracket(std::span<const double> over, std::span<const double> ref, double target,
                     double temperature);

/// Offset where the curve equals `target`: Newton's method from `start`, bisection where a step
/// leaves the bracket. Within 1e-9 of the root, or, where the curve is flat, with the win rate
/// within 1e-12.
double find_root(const SmoothCurve& curve, double target, Bracket bracket, double start);

}  // namespace charm::calibrate
