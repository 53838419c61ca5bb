#include "charm/torch/adamw.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

namespace charm::torch {

AdamW::AdamW(std::vector<Parameter>& parameters, const engine::AdamWOptions& options)
    : options_(options) {
  decay_.weight_decay = options.weight_decay;
  for (Parameter& parameter : parameters) {
    if (!parameter.trainable()) continue;
    Group& group = parameter.decays ? decay_ : no_decay_;
    group.names.push_back(parameter.name);
    group.masters.push_back(parameter.master);
    group.gradients.push_back(parameter.gradient);
    group.exp_avg.push_back(at::zeros_like(parameter.gradient));
    group.exp_avg_sq.push_back(at::zeros_like(parameter.gradient));
    group.steps.push_back(at::full({}, 0.0, parameter.gradient.options()));
  }
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard guard;
  ++num_steps_;
  for (Group* group : {&decay_, &no_decay_}) {
    if (group->masters.empty()) continue;
    for (at::Tensor& step : group->steps) step.fill_(static_cast<double>(num_steps_));
    at::_fused_adamw_(group->masters, group->gradients, group->exp_avg, group->exp_avg_sq,
                      /*max_exp_avg_sqs=*/{}, group->steps, learning_rate, options_.beta1,
                      options_.beta2, group->weight_decay, options_.eps, /*amsgrad=*/false,
                      /*maximize=*/false, /*grad_scale=*/{}, /*found_inf=*/{});
  }
}

std::vector<AdamW::Moments> AdamW::moments() const {
  std::vector<Moments> found;
  for (const Group* group : {&decay_, &no_decay_}) {
    for (std::size_t i = 0; i < group->names.size(); ++i)
      found.push_back({group->names[i], group->exp_avg[i], group->exp_avg_sq[i]});
  }
  return found;
}

double clip_gradients(std::vector<Parameter>& parameters, double max_norm) {
  const at::NoGradGuard guard;
  std::vector<at::Tensor> norms;
  for (const Parameter& parameter : parameters) {
    if (parameter.trainable()) norms.push_back(at::linalg_vector_norm(parameter.gradient));
  }
  const double norm = at::linalg_vector_norm(at::stack(norms)).item<double>();
  if (max_norm > 0.0) {
    // torch adds 1e-6 to the norm and never scales up.
    const double scale = std::min(1.0, max_norm / (norm + 1e-6));
    if (scale < 1.0) {
      for (Parameter& parameter : parameters) {
        if (parameter.trainable()) parameter.gradient.mul_(scale);
      }
    }
  }
  return norm;
}

}  // namespace charm::torch
