#include "charm/calibrate/rating_prior.h"

#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/stats/cholesky.h"
#include "charm/stats/elo.h"

namespace charm::calibrate {

RatingPrior::RatingPrior(const stats::VoteTable& table, const stats::ComparisonDesign& design,
                         stats::TieModel ties, std::size_t reference,
                         std::span<const ArenaRating> ratings)
    : table_(table),
      design_(design),
      ties_(ties),
      num_moments_(table.policies.size() - 1),
      num_votes_(table.policies.size(), 0.0),
      pair_counts_(table.policies.size() * table.policies.size(), 0.0) {
  const std::size_t n = table.policies.size();
  for (std::size_t p = 0; p < n; ++p) {
    moment_of_policy_.push_back(p == reference ? num_moments_ : p - (p > reference ? 1 : 0));
    if (ratings[p].rating_lo && ratings[p].rating_hi) continue;
    throw Error(ErrorKind::kInput,
                "the rating of '{}' has no interval; as a prior of votes every rating needs one",
                table.policies[p]);
  }
  for (const stats::VoteRow& row : table.rows) {
    num_votes_[row.a] += 1.0;
    num_votes_[row.b] += 1.0;
    pair_counts_[row.a * n + row.b] += 1.0;
    pair_counts_[row.b * n + row.a] += 1.0;
  }
  const std::vector<double> errors = stats::rating_errors(ratings);
  std::vector<double> slopes(num_moments_ * n, 0.0);  // D
  for (std::size_t p = 0; p < n; ++p) {
    if (p == reference) continue;
    double* line = slopes.data() + moment_of_policy_[p] * n;
    for (std::size_t q = 0; q < n; ++q) {
      if (pair_counts_[p * n + q] == 0.0) continue;
      const double slope =
          pair_counts_[p * n + q] / num_votes_[p] *
          stats::target_slope(stats::target_win_rate(ratings[p].rating_elo, ratings[q].rating_elo));
      line[p] += slope;
      line[q] -= slope;
    }
  }
  std::vector<double> covariance(num_moments_ * num_moments_, 0.0);
  for (std::size_t i = 0; i < num_moments_; ++i) {
    for (std::size_t j = 0; j < num_moments_; ++j) {
      for (std::size_t k = 0; k < n; ++k) {
        covariance[i * num_moments_ + j] +=
            slopes[i * n + k] * slopes[j * n + k] * errors[k] * errors[k];
      }
    }
  }
  precision_ = stats::Cholesky(std::move(covariance), num_moments_).inverse();
}

std::vector<double> RatingPrior::implied(std::span<const double> ratings_elo) const {
  const std::size_t n = table_.policies.size();
  std::vector<double> means(num_moments_, 0.0);
  for (std::size_t p = 0; p < n; ++p) {
    if (moment_of_policy_[p] == num_moments_) continue;
    for (std::size_t q = 0; q < n; ++q) {
      if (pair_counts_[p * n + q] == 0.0) continue;
      means[moment_of_policy_[p]] += pair_counts_[p * n + q] / num_votes_[p] *
                                     stats::target_win_rate(ratings_elo[p], ratings_elo[q]);
    }
  }
  return means;
}

RatingPrior::Moments RatingPrior::moments(std::span<const double> parameters) const {
  const std::size_t size = parameters.size();
  Moments moments{.values = std::vector<double>(num_moments_, 0.0),
                  .jacobian = std::vector<double>(num_moments_ * size, 0.0)};
  for (std::size_t row = 0; row < table_.rows.size(); ++row) {
    const stats::ExpectedOutcome expected =
        stats::expected_outcome(design_, ties_, row, parameters);
    const auto add = [&](std::uint32_t policy, double sign) {
      const std::size_t moment = moment_of_policy_[policy];
      if (moment == num_moments_) return;
      const double share = sign / num_votes_[policy];
      moments.values[moment] += share * (expected.value - 0.5) + 0.5 / num_votes_[policy];
      double* line = moments.jacobian.data() + moment * size;
      for (std::size_t i = 0; i < design_.width; ++i) {
        const std::size_t place = row * design_.width + i;
        if (design_.columns[place] == design_.num_parameters) continue;
        line[design_.columns[place]] += share * expected.dz * design_.values[place];
      }
      if (size > design_.num_parameters) line[design_.num_parameters] += share * expected.dt;
    };
    add(table_.rows[row].a, 1.0);
    add(table_.rows[row].b, -1.0);
  }
  return moments;
}

stats::PenaltyFn RatingPrior::penalty(std::vector<double> ratings_elo) const {
  return [this, means = implied(ratings_elo)](std::span<const double> parameters,
                                              stats::LossValue& value) {
    Moments found = moments(parameters);
    const std::size_t size = parameters.size();
    for (std::size_t m = 0; m < num_moments_; ++m) found.values[m] -= means[m];
    for (std::size_t i = 0; i < num_moments_; ++i) {
      double pull = 0.0;  // (S^-1 y)_i
      for (std::size_t j = 0; j < num_moments_; ++j)
        pull += precision_[i * num_moments_ + j] * found.values[j];
      value.loss += 0.5 * found.values[i] * pull;
      for (std::size_t k = 0; k < size; ++k)
        value.gradient[k] += pull * found.jacobian[i * size + k];
    }
    const std::vector<double> information = information_of(found);
    for (std::size_t k = 0; k < information.size(); ++k) value.hessian[k] += information[k];
  };
}

std::vector<double> RatingPrior::information(std::span<const double> parameters) const {
  return information_of(moments(parameters));
}

std::vector<double> RatingPrior::information_of(const Moments& found) const {
  const std::size_t size = num_moments_ == 0 ? 0 : found.jacobian.size() / num_moments_;
  std::vector<double> weighted(num_moments_ * size, 0.0);  // S^-1 J
  for (std::size_t i = 0; i < num_moments_; ++i) {
    for (std::size_t j = 0; j < num_moments_; ++j) {
      const double weight = precision_[i * num_moments_ + j];
      for (std::size_t k = 0; k < size; ++k)
        weighted[i * size + k] += weight * found.jacobian[j * size + k];
    }
  }
  std::vector<double> information(size * size, 0.0);
  for (std::size_t m = 0; m < num_moments_; ++m) {
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j)
        information[i * size + j] += found.jacobian[m * size + i] * weighted[m * size + j];
    }
  }
  return information;
}

}  // namespace charm::calibrate
