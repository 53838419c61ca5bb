#pragma once

#include <span>
#include <vector>

#include "charm/records/arena.h"

namespace charm::stats {

/// Standard error of each rating, Elo points: the width of its 95 % interval / 3.92 (that of a
/// normal distribution); 0 where there is no interval.
std::vector<double> rating_errors(std::span<const ArenaRating> ratings);

/// d(target win rate) / d(rating) at a target: e (1 - e) ln 10 / 400, per Elo point.
double target_slope(double target);

}  // namespace charm::stats
