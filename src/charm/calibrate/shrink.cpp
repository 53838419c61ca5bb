#include "charm/calibrate/shrink.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::calibrate {

Shrinkage shrink_to_zero(std::span<const double> estimates, std::span<const double> errors) {
  CHARM_CHECK(estimates.size() == errors.size(), "{} estimates, {} errors", estimates.size(),
              errors.size());
  double num_uncertain = 0.0;
  double largest = 0.0;
  for (std::size_t p = 0; p < estimates.size(); ++p) {
    if (errors[p] <= 0.0) continue;
    num_uncertain += 1.0;
    largest = std::max(largest, std::abs(estimates[p]));
  }
  // Decreasing in the prior variance.
  const auto excess = [&](double variance) {
    double sum = -num_uncertain;
    for (std::size_t p = 0; p < estimates.size(); ++p) {
      if (errors[p] > 0.0) sum += estimates[p] * estimates[p] / (variance + errors[p] * errors[p]);
    }
    return sum;
  };
  double lo = 0.0;
  double hi = largest * largest;  // there the sum is below the number of estimates
  if (excess(0.0) <= 0.0) hi = 0.0;
  for (int step = 0; step < 200 && hi > 0.0; ++step) {
    const double middle = 0.5 * (lo + hi);
    (excess(middle) > 0.0 ? lo : hi) = middle;
  }
  const double variance = 0.5 * (lo + hi);
  Shrinkage result{.prior_sd = std::sqrt(variance), .factors = {}, .values = {}, .errors = {}};
  for (std::size_t p = 0; p < estimates.size(); ++p) {
    const double noise = errors[p] * errors[p];
    const double factor = noise > 0.0 ? variance / (variance + noise) : 1.0;
    result.factors.push_back(factor);
    result.values.push_back(factor * estimates[p]);
    result.errors.push_back(std::sqrt(factor) * errors[p]);
  }
  return result;
}

}  // namespace charm::calibrate
