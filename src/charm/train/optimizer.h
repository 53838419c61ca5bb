#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "charm/train/trainable_model.h"

namespace charm::train {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
};

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) on float32 master weights, as in
/// torch.optim.AdamW:
///
///     p <- p (1 - lr wd);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
///     p <- p - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
///
/// References the given parameters. Not thread-safe.
class AdamW {
 public:
  AdamW(std::vector<Parameter>& parameters, const AdamWOptions& options);

  /// One step with the parameters' gradients.
  void step(double learning_rate);

  std::int64_t num_steps() const { return num_steps_; }

  /// Moments under "m.<name>" (exp_avg) and "v.<name>" (exp_avg_sq), for a checkpoint.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_num_steps(std::int64_t num_steps) { num_steps_ = num_steps; }

 private:
  struct Group {
    std::vector<at::Tensor> masters, gradients, exp_avg, exp_avg_sq, steps;
    std::vector<std::string> names;
    double weight_decay = 0.0;
  };
  Group decay_, no_decay_;
  AdamWOptions options_;
  std::int64_t num_steps_ = 0;
};

/// Clips the global L2 norm of the gradients to `max_norm` (0: no clipping), as
/// torch.nn.utils.clip_grad_norm_.
/// @return  the norm before clipping
double clip_gradients(std::vector<Parameter>& parameters, double max_norm);

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
