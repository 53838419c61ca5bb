#include "charm/stats/elo.h"

#include <algorithm>
#include <cmath>

#include "charm/base/option_table.h"

namespace charm::stats {

double target_win_rate(double rating_elo, double reference_elo) {
  return 1.0 / (1.0 + std::pow(10.0, (reference_elo - rating_elo) / 400.0));
}

double mismatch_degree(double win_rate, double target) {
  return (win_rate - target) / std::max(target, 1.0 - target);
}

void describe_ties(OptionTable& table, TieRule& ties) {
  table.choice("ties", ties, {{"loss", TieRule::kLoss}, {"half", TieRule::kHalf}},
               "How ties count in a win rate: as a loss, as in the original, or as half a win.");
}

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
