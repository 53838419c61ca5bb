#pragma once

#include <cstdint>

namespace charm::train {

/// Learning rate over a run: rises linearly from 0 during the warm-up, then falls along half a
/// cosine to 0.
struct Schedule {
  double peak = 0.0;
  std::int64_t num_steps = 0;
  std::int64_t warmup_steps = 0;

  /// Rate of step `step` (0-based), as transformers 5.17 get_cosine_schedule_with_warmup: with a
  /// warm-up, step 0 has rate 0.
  double rate_at(std::int64_t step) const;
};

/// `warmup_fraction` of the steps, rounded up as transformers' Trainer does.
Schedule make_schedule(double peak, std::int64_t num_steps, double warmup_fraction);

}  // namespace charm::train
