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

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) on float32 masters, as torch.optim.AdamW
/// computes it:
///
///     p <- p (1 - lr wd);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
///     p <- p - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
///
/// Refers to the parameters it is given. Not thread-safe.
class AdamW {
 public:
  AdamW(std::vector<Parameter>& parameters, const AdamWOptions& options);

  /// One step along the parameters' gradients.
  void step(double learning_rate);

  std::int64_t num_steps() const { return num_steps_; }

  /// Running means under "m.<name>" and "v.<name>", for a checkpoint.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  void set_num_steps(std::int64_t num_steps) { num_steps_ = num_steps; }

 private:
  struct Group {
    std::vector<at::Tensor> masters, gradients, first, second, steps;
    std::vector<std::string> names;
    double weight_decay = 0.0;
  };
  Group decayed_, plain_;
  AdamWOptions options_;
  std::int64_t num_steps_ = 0;
};

/// Scales all gradients so that their joint L2 norm is at most `max_norm` (0: leaves them); as
/// torch.nn.utils.clip_grad_norm_.
/// @return the norm before
double clip_gradients(std::vector<Parameter>& parameters, double max_norm);

}  // namespace charm::train
