#pragma once

#include <cstdint>
#include <vector>

#include "charm/engine/head.h"

namespace charm::engine {

// S responses, D model width, K objectives, Q outputs of an objective.

/// What follows each hidden layer of a head's network.
enum class HeadActivation { kRelu, kSelu, kLeakyRelu };

/// How the outputs of an objective become its reward.
enum class ObjectiveReward {
  kOutput,       ///< Q = 1
  kMean,         ///< of Q quantiles (QRM)
  kFirst,        ///< of mean and variance, Q = 2 (URM)
  kExpectation,  ///< softmax over Q values from 0 to 1, and its mean (LDL)
};

/// Batch normalisation in eval mode, after a hidden layer's activation: x * scale + shift.
struct HeadBatchNorm {
  Tensor scale_H, shift_H;  ///< undefined: none
};

/// Layers of a head with activations, and perhaps batch normalisation, between them.
struct HeadNetwork {
  std::vector<HeadLayer> layers;
  std::vector<HeadBatchNorm> norms;  ///< of each layer; empty: none
  HeadActivation activation = HeadActivation::kRelu;
};

/// A head with several objectives, weighed by a gating network: ArmoRM (arXiv 2406.12845, section
/// 3; its modeling_custom.py), QRM (allenai/reward-bench, models/qrm.py), URM (SGLang,
/// models/llama_classification.py), LDL (allenai/reward-bench, models/ldlreward.py).
struct GatedHead {
  HeadNetwork rewards;  ///< [K * Q] outputs at the pooled token
  ObjectiveReward reward = ObjectiveReward::kOutput;
  Tensor transform_KK;  ///< multiplies the row vector of rewards; undefined: none
  HeadNetwork gate;     ///< K outputs at the gate token
  bool softmax = true;  ///< of the gate's outputs over `temperature`
  double temperature = 1.0;
  Tensor gate_scale;  ///< multiplies the weights; undefined: 1
};

/// Folds the tensors of a batch normalisation (eps 1e-5, PyTorch's default).
HeadBatchNorm fold_batch_norm(const Tensor& weight_H, const Tensor& bias_H, const Tensor& mean_H,
                              const Tensor& variance_H);

/// score = sum_k g_k * (r T)_k, with r = rewards(x) of the pooled token and g = scale *
/// softmax(gate(y) / temperature) of the gate token.
/// @param x_SD  final hidden states of the pooled tokens, float32
/// @param y_SD  of each response's gate token
/// @return      [S] float32
Tensor gated_score(const Tensor& x_SD, const Tensor& y_SD, const GatedHead& head);

}  // namespace charm::engine
