#include "charm/demo/battles.h"

#include <algorithm>
#include <cmath>

#include "charm/demo/language.h"

namespace charm::demo {
namespace {

constexpr int kIterations = 200;

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

BattleTable simulate_battles(std::span<const Contestant> contestants, std::int64_t per_pair,
                             double sharpness, RandomStream& random) {
  const std::size_t n = contestants.size();
  BattleTable battles{.num_policies = n, .wins = std::vector<double>(n * n, 0.0)};
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = a + 1; b < n; ++b) {
      for (std::int64_t i = 0; i < per_pair; ++i) {
        const Question question = draw_question(random);
        const double quality_a = draw_answer(question, contestants[a].ability, random).quality;
        const double quality_b = draw_answer(question, contestants[b].ability, random).quality;
        const bool a_wins = random.uniform() < logistic(sharpness * (quality_a - quality_b));
        battles.wins[a_wins ? a * n + b : b * n + a] += 1.0;
      }
    }
  }
  return battles;
}

std::vector<double> fit_elo(const BattleTable& battles, double mean_elo) {
  const std::size_t n = battles.num_policies;
  std::vector<double> strength(n, 1.0);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    std::vector<double> next(n, 0.0);
    double log_sum = 0.0;
    for (std::size_t a = 0; a < n; ++a) {
      double won = 0.0, weight = 0.0;
      for (std::size_t b = 0; b < n; ++b) {
        if (a == b) continue;
        won += battles.wins[a * n + b];
        weight += (battles.wins[a * n + b] + battles.wins[b * n + a]) / (strength[a] + strength[b]);
      }
      next[a] = std::max(won, 0.5) /
                weight;  // a policy without a single win still gets a finite strength
      log_sum += std::log(next[a]);
    }
    const double scale = std::exp(log_sum / static_cast<double>(n));
    for (std::size_t a = 0; a < n; ++a) strength[a] = next[a] / scale;
  }
  std::vector<double> elo(n);
  for (std::size_t a = 0; a < n; ++a) elo[a] = mean_elo + 400.0 * std::log10(strength[a]);
  return elo;
}

std::vector<ArenaRating> rate(std::span<const Contestant> contestants, const BattleTable& battles,
                              double mean_elo, std::int64_t num_replicates, RandomStream& random) {
  const std::size_t n = battles.num_policies;
  std::vector<std::vector<double>> drawn(n);
  for (std::int64_t replicate = 0; replicate < num_replicates; ++replicate) {
    BattleTable resampled{.num_policies = n, .wins = std::vector<double>(n * n, 0.0)};
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = a + 1; b < n; ++b) {
        const double total = battles.wins[a * n + b] + battles.wins[b * n + a];
        const double share = battles.wins[a * n + b] / total;
        for (double i = 0.0; i < total; i += 1.0)
          resampled.wins[random.uniform() < share ? a * n + b : b * n + a] += 1.0;
      }
    }
    const std::vector<double> elo = fit_elo(resampled, mean_elo);
    for (std::size_t a = 0; a < n; ++a) drawn[a].push_back(elo[a]);
  }
  const std::vector<double> elo = fit_elo(battles, mean_elo);
  std::vector<ArenaRating> ratings;
  for (std::size_t a = 0; a < n; ++a) {
    ratings.push_back({.name = contestants[a].name,
                       .rating_elo = elo[a],
                       .rating_lo = quantile(drawn[a], 0.025),
                       .rating_hi = quantile(drawn[a], 0.975)});
  }
  return ratings;
}

}  // namespace charm::demo
