#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "charm/engine/trainable_model.h"

namespace charm::torch {

/// A weight in training.
struct Parameter {
  std::string name;     ///< Hugging Face name
  at::Tensor master;    ///< float32, updated by the optimiser and saved
  at::Tensor compute;   ///< weight of the forward pass: the master itself, or its bfloat16 copy
  at::Tensor gradient;  ///< float32, accumulated over the step's batches; undefined where frozen
  bool decays = false;  ///< weight decay applies: to matrices, not to norms and biases (as in
                        ///< transformers' Trainer)
  bool trainable() const { return gradient.defined(); }
};

/// AdamW on float32 masters, by torch's fused operator; formulas in engine/trainable_model.h.
/// References the parameters. Not thread-safe.
class AdamW {
 public:
  AdamW(std::vector<Parameter>& parameters, const engine::AdamWOptions& options);

  void step(double learning_rate);
  void set_num_steps(std::int64_t num_steps) { num_steps_ = num_steps; }

  /// A trainable parameter's moments.
  struct Moments {
    std::string name;
    at::Tensor exp_avg, exp_avg_sq;
  };
  std::vector<Moments> moments() const;

 private:
  struct Group {
    std::vector<at::Tensor> masters, gradients, exp_avg, exp_avg_sq, steps;
    std::vector<std::string> names;
    double weight_decay = 0.0;
  };
  Group decay_, no_decay_;
  engine::AdamWOptions options_;
  std::int64_t num_steps_ = 0;
};

/// Clips the global L2 norm of the gradients to `max_norm` (0: no clipping), as
/// torch.nn.utils.clip_grad_norm_.
/// @return  the norm before clipping
double clip_gradients(std::vector<Parameter>& parameters, double max_norm);

}  // namespace charm::torch
