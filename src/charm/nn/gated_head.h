#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/nn/head.h"
#include "charm/nn/ops.h"

namespace charm::nn {

// S responses, D model width, K objectives.

/// A head whose score mixes K objectives with weights that a gating network computes from the
/// prompt: ArmoRM (arXiv 2406.12845, section 3; its modeling_custom.py). Float32 in inference mode.
struct GatedHead {
  HeadLayer regression;         ///< [K, D]: the objectives of the pooled token
  at::Tensor transform_KK;      ///< the objectives' row vector is multiplied with it
  std::vector<HeadLayer> gate;  ///< ReLU between them; the last one has K outputs
  at::Tensor gate_scale;        ///< [1]: multiplies the weights
  double temperature = 1.0;     ///< divides the logits before the softmax
};

/// score = sum_k g_k * (r T)_k, with r = regression(norm(x)) of the pooled token and
/// g = scale * softmax(gate(norm(y)) / temperature) of the gate's token. Float32 throughout.
/// @param x_SD  hidden states of the pooled tokens, before the final norm
/// @param y_SD  of each response's gate
/// @return      [S] float32. Gradients flow in autograd mode.
at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const NormRule& rule, Mode mode);

}  // namespace charm::nn
