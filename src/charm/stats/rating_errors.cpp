#include "charm/stats/rating_errors.h"

#include <cmath>

namespace charm::stats {

std::vector<double> rating_errors(std::span<const ArenaRating> ratings) {
  constexpr double kWidthInDeviations = 3.92;
  std::vector<double> errors;
  errors.reserve(ratings.size());
  for (const ArenaRating& rating : ratings) {
    const bool is_known = rating.rating_lo && rating.rating_hi;
    errors.push_back(is_known ? (*rating.rating_hi - *rating.rating_lo) / kWidthInDeviations : 0.0);
  }
  return errors;
}

double target_slope(double target) { return target * (1.0 - target) * std::log(10.0) / 400.0; }

}  // namespace charm::stats
