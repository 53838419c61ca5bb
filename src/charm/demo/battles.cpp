#include "charm/demo/battles.h"

#include <cmath>

#include "charm/demo/language.h"
#include "charm/rate/ratings.h"

namespace charm::demo {
namespace {

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

rate::ComparisonTable simulate_battles(std::span<const Contestant> contestants,
                                       std::int64_t per_pair, double sharpness,
                                       RandomStream& random) {
  rate::ComparisonTable battles;
  for (std::uint32_t a = 0; a < contestants.size(); ++a) {
    battles.models.push_back(contestants[a].name);
    for (std::uint32_t b = a + 1; b < contestants.size(); ++b) {
      rate::Comparison won{.a = a, .b = b, .outcome = 1.0, .count = 0.0};
      rate::Comparison lost{.a = a, .b = b, .outcome = 0.0, .count = 0.0};
      for (std::int64_t i = 0; i < per_pair; ++i) {
        const Question question = draw_question(random);
        const double quality_a = draw_answer(question, contestants[a].ability, random).quality;
        const double quality_b = draw_answer(question, contestants[b].ability, random).quality;
        const bool a_wins = random.uniform() < logistic(sharpness * (quality_a - quality_b));
        (a_wins ? won : lost).count += 1.0;
      }
      battles.rows.push_back(won);
      battles.rows.push_back(lost);
    }
  }
  return battles;
}

std::vector<ArenaRating> arena_ratings(const rate::ComparisonTable& battles, double mean_elo) {
  const rate::Ratings fit = rate::rate_models(battles, {});
  double sum_elo = 0.0;
  for (const rate::ModelRating& model : fit.models) sum_elo += model.rating_elo;
  const double shift = mean_elo - sum_elo / static_cast<double>(fit.models.size());
  std::vector<ArenaRating> ratings;
  for (const rate::ModelRating& model : fit.models) {
    ratings.push_back({.name = model.model,
                       .rating_elo = model.rating_elo + shift,
                       .rating_lo = model.rating_ci95.lo + shift,
                       .rating_hi = model.rating_ci95.hi + shift});
  }
  return ratings;
}

}  // namespace charm::demo
