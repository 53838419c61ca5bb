#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/rate/bradley_terry.h"
#include "charm/records/arena.h"

namespace charm::demo {

/// A policy as the voters see it.
struct Contestant {
  std::string name;
  double ability = 0.0;  ///< probability that an item is correct
};

/// `per_pair` votes for each pair of policies, each on a fresh question. Voters judge true quality
/// alone: P(a preferred to b) = sigmoid(sharpness (q_a - q_b)).
rate::ComparisonTable simulate_battles(std::span<const Contestant> contestants,
                                       std::int64_t per_pair, double sharpness,
                                       RandomStream& random);

/// Bradley-Terry ratings with sandwich intervals as `charm rate` fits them, shifted to the mean
/// `mean_elo`; highest first. Throws kInput where the votes leave a rating infinite.
std::vector<ArenaRating> arena_ratings(const rate::ComparisonTable& battles, double mean_elo);

}  // namespace charm::demo
