#include "charm/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace charm::train {

double Schedule::rate_at(std::int64_t step) const {
  if (step < warmup_steps)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps + 1);
  const std::int64_t decay_steps = std::max<std::int64_t>(1, num_steps - warmup_steps);
  const double progress =
      static_cast<double>(step - warmup_steps) / static_cast<double>(decay_steps);
  return peak * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

Schedule make_schedule(double peak, std::int64_t num_steps, double warmup_fraction) {
  return {peak, num_steps,
          static_cast<std::int64_t>(std::ceil(warmup_fraction * static_cast<double>(num_steps)))};
}

}  // namespace charm::train
