#pragma once

#include <cstddef>
#include <span>
#include <vector>

// What best-of-n picks among the candidates of one prompt, as exact expectations over all subsets.
namespace charm::evaluate {

/// [candidate] probability of being the pick (the highest score) of a uniformly drawn subset of `n`
/// candidates; candidates with equal scores share theirs. 1 <= n <= number of candidates.
std::vector<double> pick_probabilities(std::span<const double> scores, std::size_t n);

/// Probability that two scorings of the same candidates pick the same one of a uniformly drawn
/// subset of `n`; of equal scores the first candidate is picked.
double same_pick_probability(std::span<const double> scores, std::span<const double> other,
                             std::size_t n);

/// [candidate] probability of being chosen of a uniformly drawn subset of `n`, where a candidate is
/// chosen of a subset S with probability e^l_i / sum over S of e^l_j (Plackett-Luce): with log odds
/// of ratings, the pick that ratings imply. By the trapezoidal rule over the utility of a Gumbel
/// race, whose error is below rounding.
std::vector<double> plackett_luce_picks(std::span<const double> log_strengths, std::size_t n);

/// KL divergence of best-of-n from the sampling distribution, nats: log n - (n - 1) / n (Stiennon
/// et al. 2020, arXiv 2009.01325); exact for continuous scores, else an upper bound (Beirami et al.
/// 2024, arXiv 2401.01879).
double best_of_n_kl(std::size_t n);

}  // namespace charm::evaluate
