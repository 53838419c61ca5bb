#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "charm/engine/token_batch.h"
#include "charm/train/trainable_model.h"

namespace charm::train {

// S responses.

/// float32 [S] scores in packed order -> float32 scalar; differentiable.
using ScoreLoss = std::function<at::Tensor(const at::Tensor& scores_S)>;

struct BatchResult {
  double loss = 0.0;
  at::Tensor scores_S;  ///< float32, detached
};

/// Forward and backward pass of one batch with activation checkpointing; accumulates d loss / d
/// weight in the parameters' gradients.
///
/// The last `stored_blocks` blocks store their activations; the others store their input only and
/// are recomputed in backward (Chen et al. 2016, arXiv 1604.06174, one segment per block), so that
/// memory grows with depth by one [T, D] input per block. The gradients equal those of plain
/// autograd.
BatchResult accumulate_gradients(TrainableModel& model, const engine::PackedBatch& batch,
                                 const ScoreLoss& loss, std::int64_t stored_blocks = 1);

/// Number of blocks whose activations fit `activation_bytes` for batches of `budget_tokens`, at
/// least 1: the last block's backward directly follows its forward, so storing it is free.
std::int64_t num_blocks_to_store(const engine::DecoderConfig& config, at::ScalarType compute_dtype,
                                 std::int64_t budget_tokens, double activation_bytes);

}  // namespace charm::train
