#pragma once

#include <memory>
#include <span>
#include <vector>

#include "charm/calibrate/smooth_pairs.h"

namespace charm::calibrate {

/// Sums the sigmoids one by one; only pairs within its reach are touched, the others count 0 or 1.
/// The plain form of SmoothPairs: reference for the fast one, and the better one where few pairs
/// are within reach.
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
