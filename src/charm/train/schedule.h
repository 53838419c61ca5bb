#pragma once

#include <cstdint>

namespace charm::train {

/// Learning-rate schedule: linear warm-up, then cosine decay to 0. Above 0 in every step.
struct Schedule {
  double peak = 0.0;
  std::int64_t num_steps = 0;
  std::int64_t warmup_steps = 0;

  /// Learning rate of step `step` (0-based):
  ///
  ///     peak (step + 1) / (warmup_steps + 1)                                       in the warm-up
  ///     peak (1 + cos(pi (step - warmup_steps) / (num_steps - warmup_steps))) / 2  after it
  ///
  /// This is transformers 5.17 get_cosine_schedule_with_warmup for warmup_steps + 1 and
  /// num_steps + 1, without its step 0, whose learning rate is 0 (decision 0060).
  double rate_at(std::int64_t step) const;
};

/// Warm-up steps are `warmup_fraction` of the steps, rounded up as in transformers' Trainer.
Schedule make_schedule(double peak, std::int64_t num_steps, double warmup_fraction);

}  // namespace charm::train
