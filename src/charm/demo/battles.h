#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/records/arena.h"

namespace charm::demo {

/// A policy as the voters see it.
struct Contestant {
  std::string name;
  double ability = 0.0;  ///< probability that an item is correct
};

/// Wins of policy a over policy b, [a * n + b].
struct BattleTable {
  std::size_t num_policies = 0;
  std::vector<double> wins;
};

/// `per_pair` votes for each pair of policies, each on a fresh question. Voters judge true quality
/// alone: P(a preferred to b) = sigmoid(sharpness (q_a - q_b)).
BattleTable simulate_battles(std::span<const Contestant> contestants, std::int64_t per_pair,
                             double sharpness, RandomStream& random);

/// Bradley-Terry strengths on the Elo scale (base 10, 400 points) with mean `mean_elo`, by the
/// minorisation-maximisation iteration of Hunter (Annals of Statistics 32, 2004).
std::vector<double> fit_elo(const BattleTable& battles, double mean_elo);

/// Ratings with 95 % intervals from `num_replicates` parametric bootstrap replicates of the
/// battles.
std::vector<ArenaRating> rate(std::span<const Contestant> contestants, const BattleTable& battles,
                              double mean_elo, std::int64_t num_replicates, RandomStream& random);

}  // namespace charm::demo
