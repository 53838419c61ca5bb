#include "charm/calibrate/step_function.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "charm/base/check.h"

namespace charm::calibrate {
namespace {

// Distances to the target closer than this are equal: counts over n differ by 1/n, far more than
// rounding.
constexpr double kEqual = 1e-12;

}  // namespace

StepFunction::StepFunction(std::span<const double> sorted, std::span<const double> weights,
                           stats::TieRule ties)
    : ties_(ties) {
  values_.reserve(sorted.size());
  cumulative_.reserve(sorted.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (weights[i] == 0.0) continue;
    sum += weights[i];
    if (!values_.empty() && values_.back() == sorted[i]) {
      cumulative_.back() = sum;
    } else {
      values_.push_back(sorted[i]);
      cumulative_.push_back(sum);
    }
  }
  CHARM_CHECK(!values_.empty(), "all weights are 0");
}

double StepFunction::rate_between(std::size_t index) const {
  const double total = cumulative_.back();
  return (total - cumulative_[index]) / total;
}

double StepFunction::rate_at(std::size_t index) const {
  // A row wins where its difference exceeds -offset, so at a step its own rows tie.
  const double total = cumulative_.back();
  const double below = index == 0 ? 0.0 : cumulative_[index - 1];
  const double tied = ties_ == stats::TieRule::kHalf ? 0.5 * (cumulative_[index] - below) : 0.0;
  return (total - cumulative_[index] + tied) / total;
}

double StepFunction::win_rate(double offset) const {
  const auto above = std::upper_bound(values_.begin(), values_.end(), -offset);
  if (above == values_.begin()) return 1.0;
  const auto index = static_cast<std::size_t>(above - values_.begin()) - 1;
  return values_[index] == -offset ? rate_at(index) : rate_between(index);
}

StepFunction::BothDirections StepFunction::both_win_rates(double offset) const {
  const double over = win_rate(offset);
  if (ties_ == stats::TieRule::kHalf) return {.over = over, .ref = 1.0 - over};
  const std::size_t index = first_step_at_or_below(offset);
  return {.over = over, .ref = index == 0 ? 0.0 : cumulative_[index - 1] / cumulative_.back()};
}

std::size_t StepFunction::first_step_at_or_below(double offset) const {
  return static_cast<std::size_t>(std::lower_bound(values_.begin(), values_.end(), -offset) -
                                  values_.begin());
}

double StepFunction::interpolated_offset(double level) const {
  const auto middle = [&](std::size_t index) {
    return 0.5 * (rate_between(index) + (index == 0 ? 1.0 : rate_between(index - 1)));
  };
  // The first step, offsets descending, whose middle is not above the level.
  std::size_t lo = 0;
  std::size_t hi = values_.size();
  while (lo < hi) {
    const std::size_t half = (lo + hi) / 2;
    if (middle(half) > level) {
      lo = half + 1;
    } else {
      hi = half;
    }
  }
  if (lo == 0) return step(0);
  if (lo == values_.size()) return step(lo - 1);
  const double share = (level - middle(lo)) / (middle(lo - 1) - middle(lo));
  return step(lo) + share * (step(lo - 1) - step(lo));
}

PlateauResult StepFunction::best_plateau(double target) const {
  if (values_.size() == 1)
    return {.kind = PlateauResult::Kind::kAllEqual, .plateau = {}, .nearest_win_rate = 0.0};

  // Win rates fall with the index, so the nearest is on one side of the first that is not above the
  // target.
  const std::size_t num_bounded = values_.size() - 1;
  std::size_t lo = 0;
  std::size_t hi = num_bounded;
  while (lo < hi) {
    const std::size_t middle = (lo + hi) / 2;
    if (rate_between(middle) > target) {
      lo = middle + 1;
    } else {
      hi = middle;
    }
  }
  const auto distance = [&](std::size_t index) { return std::abs(rate_between(index) - target); };
  std::size_t first = lo == num_bounded ? num_bounded - 1 : lo;
  std::size_t last = first;
  if (first > 0 && lo < num_bounded) {
    if (distance(first - 1) < distance(first) - kEqual) {
      first = last = first - 1;
    } else if (distance(first - 1) <= distance(first) + kEqual) {
      first = first - 1;
    }
  }
  const double nearest = distance(last);

  Plateau plateau{
      .offsets = {.lo = step(last + 1), .hi = step(first)}, .offset = 0.0, .win_rate = 0.0};
  if (ties_ == stats::TieRule::kHalf) {
    const double one_row = 1.0 / static_cast<double>(cumulative_.back());
    double best = nearest - one_row;
    for (std::size_t index = first; index <= last + 1; ++index) {
      const double at_step = std::abs(rate_at(index) - target);
      if (at_step >= best) continue;
      best = at_step;
      plateau.offsets = {.lo = step(index), .hi = step(index)};
    }
  }
  plateau.offset = 0.5 * (plateau.offsets.lo + plateau.offsets.hi);
  plateau.win_rate = win_rate(plateau.offset);

  PlateauResult result{.kind = PlateauResult::Kind::kFound,
                       .plateau = plateau,
                       .nearest_win_rate = plateau.win_rate};
  const double found = std::abs(plateau.win_rate - target);
  for (const double end : {0.0, 1.0}) {
    if (std::abs(end - target) < found - kEqual) {
      result.kind = PlateauResult::Kind::kUnbounded;
      result.nearest_win_rate = end;
    }
  }
  return result;
}

SortedDifferences::SortedDifferences(std::span<const double> over, std::span<const double> ref,
                                     stats::TieRule ties)
    : ties_(ties), row_(over.size()) {
  CHARM_CHECK(over.size() == ref.size() && !over.empty(), "{} rows against {}", over.size(),
              ref.size());
  std::vector<std::pair<double, std::uint32_t>> ranked(over.size());
  for (std::size_t row = 0; row < over.size(); ++row) {
    ranked[row] = {over[row] - ref[row], static_cast<std::uint32_t>(row)};
  }
  std::sort(ranked.begin(), ranked.end());
  sorted_.reserve(ranked.size());
  for (std::size_t rank = 0; rank < ranked.size(); ++rank) {
    sorted_.push_back(ranked[rank].first);
    row_[rank] = ranked[rank].second;
  }
}

StepFunction SortedDifferences::curve() const {
  return StepFunction(sorted_, std::vector<double>(sorted_.size(), 1.0), ties_);
}

StepFunction SortedDifferences::curve(std::span<const double> row_weights) const {
  std::vector<double> weights(row_.size());
  for (std::size_t rank = 0; rank < row_.size(); ++rank) weights[rank] = row_weights[row_[rank]];
  return StepFunction(sorted_, weights, ties_);
}

}  // namespace charm::calibrate
