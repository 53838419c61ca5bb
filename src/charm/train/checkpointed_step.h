#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "charm/batch/token_batch.h"
#include "charm/train/trainable_model.h"

namespace charm::train {

// S responses.

/// float32 [S] scores in packed order -> float32 scalar; differentiable.
using ScoreLoss = std::function<at::Tensor(const at::Tensor& scores_S)>;

struct BatchResult {
  double loss = 0.0;
  at::Tensor scores_S;  ///< float32, without gradients
};

/// Forward and backward pass of one batch; adds d loss / d weight to the parameters' gradients.
///
/// Activations of the last `kept_blocks` blocks stay in memory between the two; of the others only
/// the input is kept and the block is computed again on the way back (Chen et al. 2016, arXiv
/// 1604.06174, with one segment per block), so that memory does not grow with depth except for one
/// [T, D] input a block. The gradients are those of plain autograd.
BatchResult accumulate_gradients(TrainableModel& model, const batch::PackedBatch& batch,
                                 const ScoreLoss& loss, std::int64_t kept_blocks = 1);

/// Blocks whose activations fit `activation_bytes` for batches of `budget_tokens`, at least 1: the
/// last one is differentiated right after it is computed, so keeping it costs nothing.
std::int64_t blocks_that_fit(const model::DecoderConfig& config, at::ScalarType compute_dtype,
                             std::int64_t budget_tokens, double activation_bytes);

}  // namespace charm::train
