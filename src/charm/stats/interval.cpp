#include "charm/stats/interval.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/stats/descriptive.h"

namespace charm::stats {

Interval percentile_interval(std::vector<double> values, double level) {
  std::sort(values.begin(), values.end());
  return {.lo = quantile_sorted(values, 0.5 * (1.0 - level)),
          .hi = quantile_sorted(values, 0.5 * (1.0 + level))};
}

std::optional<Interval> replicate_interval(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return percentile_interval(values);
}

std::optional<Interval> centred_interval(std::vector<double> values, double estimate,
                                         std::optional<double> at_least) {
  if (values.empty()) return std::nullopt;
  const double shift = estimate - mean(values);
  for (double& value : values) value += shift;
  Interval interval = percentile_interval(std::move(values));
  if (at_least) interval.lo = std::max(interval.lo, *at_least);
  return interval;
}

ClusteredRate clustered_rate(std::span<const double> values,
                             std::span<const std::uint32_t> prompt_of_row) {
  CHARM_CHECK(values.size() == prompt_of_row.size() && !values.empty(), "{} values of {} rows",
              values.size(), prompt_of_row.size());
  const std::uint32_t last = *std::max_element(prompt_of_row.begin(), prompt_of_row.end());
  std::vector<double> sums(last + 1, 0.0);
  std::vector<char> has_rows(last + 1, 0);
  const double rate = mean(values);
  for (std::size_t row = 0; row < values.size(); ++row) {
    sums[prompt_of_row[row]] += values[row] - rate;
    has_rows[prompt_of_row[row]] = 1;
  }
  double squares = 0.0;
  for (const double sum : sums) squares += sum * sum;
  const auto prompts = static_cast<double>(std::count(has_rows.begin(), has_rows.end(), 1));
  const auto rows = static_cast<double>(values.size());
  const double correction = prompts > 1.0 ? prompts / (prompts - 1.0) : 0.0;
  return {.rate = rate,
          .se = std::sqrt(correction * squares) / rows,
          .num_prompts = static_cast<std::int64_t>(prompts)};
}

Interval wilson_interval(const ClusteredRate& share) {
  const double w = share.rate;
  const bool is_degenerate = !(share.se > 0.0) || w <= 0.0 || w >= 1.0;
  const double n = is_degenerate ? static_cast<double>(share.num_prompts)
                                 : w * (1.0 - w) / (share.se * share.se);
  const double z2 = kNormal975 * kNormal975;
  const double center = (w + z2 / (2.0 * n)) / (1.0 + z2 / n);
  const double half =
      kNormal975 / (1.0 + z2 / n) * std::sqrt(w * (1.0 - w) / n + z2 / (4.0 * n * n));
  return {.lo = std::clamp(center - half, 0.0, w), .hi = std::clamp(center + half, w, 1.0)};
}

}  // namespace charm::stats
