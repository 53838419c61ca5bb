#pragma once

#include <memory>
#include <span>
#include <vector>

#include "charm/calibrate/smooth_pairs.h"

namespace charm::calibrate {

/// Direct summation of the sigmoids; pairs beyond the saturation width count as 0 or 1. The
/// reference implementation of SmoothPairs, and the faster one where most pairs are saturated.
class DirectPairs final : public SmoothPairs {
 public:
  DirectPairs(std::span<const double> over, std::span<const double> ref,
              const SmoothPairsOptions& options);

  using SmoothPairs::curve;
  std::unique_ptr<SmoothCurve> curve(std::span<const double> over_weights,
                                     std::span<const double> ref_weights) const override;

 private:
  std::vector<double> over_;
  std::vector<double> ref_;
  SmoothPairsOptions options_;
};

}  // namespace charm::calibrate
