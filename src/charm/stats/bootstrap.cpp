#include "charm/stats/bootstrap.h"

#include <utility>

#include "charm/base/parallel.h"
#include "charm/stats/elo.h"

namespace charm::stats {

void bootstrap(std::size_t num_replicates, std::uint64_t seed, std::string_view stage,
               std::size_t num_threads,
               const std::function<void(std::size_t, RandomStream&)>& body) {
  parallel_for(num_replicates, num_threads, [&](std::size_t replicate) {
    RandomStream stream(seed, stage, replicate);
    body(replicate, stream);
  });
}

std::vector<std::uint32_t> resample_prompts(std::size_t num_prompts, RandomStream& stream) {
  std::vector<std::uint32_t> weights(num_prompts, 0);
  for (std::size_t draw = 0; draw < num_prompts; ++draw) ++weights[stream.below(num_prompts)];
  return weights;
}

std::vector<double> draw_ratings(std::span<const ArenaRating> ratings, RandomStream& stream) {
  const auto errors = rating_errors(ratings);
  std::vector<double> drawn;
  drawn.reserve(ratings.size());
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    // Always consumes one normal, so that a policy's draw does not depend on which others have
    // intervals.
    drawn.push_back(ratings[i].rating_elo + errors[i] * stream.normal());
  }
  return drawn;
}

void bootstrap_pairs(std::size_t num_replicates, std::uint64_t seed, std::size_t num_threads,
                     std::size_t num_prompts, std::span<const ArenaRating> ratings,
                     const std::function<void(std::size_t, PairResample&&, RandomStream&)>& body) {
  bootstrap(num_replicates, seed, "calibrate", num_threads,
            [&](std::size_t replicate, RandomStream& stream) {
              PairResample drawn;
              drawn.weights = resample_prompts(num_prompts, stream);
              drawn.ratings = draw_ratings(ratings, stream);
              body(replicate, std::move(drawn), stream);
            });
}

}  // namespace charm::stats
