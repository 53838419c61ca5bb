#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/head.h"
#include "charm/engine/heads.h"

// Heads that mix the rewards of several objectives with the weights of a gating network.
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

/// score = sum_k g_k * (r T)_k, with r = rewards(x) of the pooled token and g = scale *
/// softmax(gate(y) / temperature) of the gate token.
/// @param x_SD  final hidden states of the pooled tokens, float32
/// @param y_SD  of each response's gate token
/// @return      [S] float32
Tensor gated_score(const Tensor& x_SD, const Tensor& y_SD, const GatedHead& head);

// Entries of the table in heads.cpp; in objective_heads.cpp.

void read_gated_head(const ConfigReader& reader, const HeadEvidence& evidence,
                     DecoderConfig& config);
void read_quantile_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config);
void read_variance_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config);
void read_distribution_head(const ConfigReader& reader, const HeadEvidence& evidence,
                            DecoderConfig& config);
/// The tensors of all of them.
std::vector<HeadLayerShape> objective_layers(const DecoderConfig& config);

/// Whether the head mixes objectives.
bool mixes_objectives(HeadKind kind);

/// The head from its tensors, in the order of `objective_layers`.
GatedHead make_gated_head(const DecoderConfig& config, const std::vector<HeadLayer>& layers);

}  // namespace charm::engine
