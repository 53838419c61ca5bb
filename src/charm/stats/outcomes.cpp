#include "charm/stats/outcomes.h"

#include "charm/base/check.h"

namespace charm::stats {

double WinCount::win_rate(TieRule rule) const {
  return (rule == TieRule::kHalf ? wins + 0.5 * ties : wins) / total;
}

Outcomes::Outcomes(std::span<const double> over, std::span<const double> ref, double offset_over,
                   double offset_ref) {
  CHARM_CHECK(over.size() == ref.size(), "{} rows against {}", over.size(), ref.size());
  outcome_.reserve(over.size());
  for (std::size_t row = 0; row < over.size(); ++row) {
    const double a = over[row] + offset_over;
    const double b = ref[row] + offset_ref;
    outcome_.push_back(a > b ? 2 : a == b ? 1 : 0);
  }
}

WinCount Outcomes::count() const {
  std::uint64_t counts[3] = {0, 0, 0};
  for (const std::uint8_t outcome : outcome_) ++counts[outcome];
  return {.wins = static_cast<double>(counts[2]),
          .ties = static_cast<double>(counts[1]),
          .total = static_cast<double>(outcome_.size())};
}

WinCount Outcomes::count(std::span<const std::uint32_t> prompt_of_row,
                         std::span<const std::uint32_t> prompt_weights) const {
  std::uint64_t counts[3] = {0, 0, 0};
  for (std::size_t row = 0; row < outcome_.size(); ++row) {
    counts[outcome_[row]] += prompt_weights[prompt_of_row[row]];
  }
  return {.wins = static_cast<double>(counts[2]),
          .ties = static_cast<double>(counts[1]),
          .total = static_cast<double>(counts[0] + counts[1] + counts[2])};
}

std::vector<double> Outcomes::values(TieRule rule, bool is_mirrored) const {
  constexpr std::uint8_t kTie = 1;
  const std::uint8_t won = is_mirrored ? 0 : 2;
  std::vector<double> values;
  values.reserve(outcome_.size());
  for (const std::uint8_t outcome : outcome_) {
    values.push_back(outcome == won ? 1.0 : outcome == kTie && rule == TieRule::kHalf ? 0.5 : 0.0);
  }
  return values;
}

}  // namespace charm::stats
