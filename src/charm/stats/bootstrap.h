#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "charm/base/random.h"
#include "charm/records/arena.h"

namespace charm::stats {

/// Runs body(replicate, stream) for every replicate, each with its own random stream derived from
/// (seed, stage, replicate): the results do not depend on the number of threads. A body must write
/// only to its own replicate's output.
void bootstrap(std::size_t num_replicates, std::uint64_t seed, std::string_view stage,
               std::size_t num_threads,
               const std::function<void(std::size_t, RandomStream&)>& body);

/// How often each of `num_prompts` prompts is drawn in `num_prompts` draws with replacement
/// (multinomial weights). Rows of a prompt share its weight, so intervals cluster by prompt.
std::vector<std::uint32_t> resample_prompts(std::size_t num_prompts, RandomStream& stream);

/// Ratings drawn from independent normals with sd = (hi - lo) / 3.92 around the rating; a rating
/// without interval stays.
std::vector<double> draw_ratings(std::span<const ArenaRating> ratings, RandomStream& stream);

/// Prompts and ratings drawn again.
struct PairResample {
  std::vector<std::uint32_t> weights;  ///< of the prompts, as of `resample_prompts`
  std::vector<double> ratings;         ///< as of `draw_ratings`
};

/// `bootstrap` of comparisons with ratings. Measuring and calibrating draw the same resamples for
/// one seed, so that what both report has one interval.
void bootstrap_pairs(std::size_t num_replicates, std::uint64_t seed, std::size_t num_threads,
                     std::size_t num_prompts, std::span<const ArenaRating> ratings,
                     const std::function<void(std::size_t, PairResample&&, RandomStream&)>& body);

}  // namespace charm::stats
