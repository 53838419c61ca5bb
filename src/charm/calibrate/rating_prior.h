#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "charm/records/arena.h"
#include "charm/stats/comparison_fit.h"
#include "charm/stats/vote_table.h"

namespace charm::calibrate {

/// Arena ratings as a prior of a fit of votes. For each policy p but the reference, the mean over
/// its votes of the modelled score (a win 1, a tie 1/2) of p should equal the mean of the win rates
/// that the ratings imply for the same pairs, y_p = modelled - implied = 0, with the covariance S
/// that the ratings' own intervals give the implied means (independent normals, to first order):
///     penalty = y' S^-1 y / 2,    S = D diag(sd^2) D',    D_pk = d implied_p / d rating_k
/// So votes count by their number and ratings by their intervals. Curvature by Gauss-Newton.
/// Immutable; safe to use from many threads.
class RatingPrior {
 public:
  /// `ratings` in the order of the table's policies. Throws kInput for a rating without interval.
  RatingPrior(const stats::VoteTable& table, const stats::ComparisonDesign& design,
              stats::TieModel ties, std::size_t reference, std::span<const ArenaRating> ratings);

  /// The penalty at ratings drawn for a bootstrap replicate; keeps a pointer to this.
  stats::PenaltyFn penalty(std::vector<double> ratings_elo) const;

  /// J' S^-1 J at the parameters: the information of the ratings, row-major.
  std::vector<double> information(std::span<const double> parameters) const;

 private:
  // y and its derivatives in the parameters.
  struct Moments {
    std::vector<double> values;    // [moment]
    std::vector<double> jacobian;  // [moment * parameter]
  };
  Moments moments(std::span<const double> parameters) const;
  std::vector<double> information_of(const Moments& moments) const;
  std::vector<double> implied(std::span<const double> ratings_elo) const;

  const stats::VoteTable& table_;
  const stats::ComparisonDesign& design_;
  stats::TieModel ties_;
  std::vector<std::size_t> moment_of_policy_;  // the reference: num_moments_
  std::size_t num_moments_;
  std::vector<double> num_votes_;    // [policy]
  std::vector<double> pair_counts_;  // [policy * policy] votes, symmetric
  std::vector<double> precision_;    // S^-1
};

}  // namespace charm::calibrate
