#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/batch/token_batch.h"

namespace charm::nn {

// T packed tokens, S responses, F = E / 2 half a head's width.

/// How layers run; fixed for a model's life.
enum class Mode {
  kInference,  ///< CPU kernels on packed weights; row counts are multiples of kGemmRows; no gradients
  kAutograd,   ///< ATen operators on plain weights, any device; gradients flow where grad mode is on
};

/// A packed batch as the blocks see it: where each sequence lies, and the rope tables of its positions.
/// In inference mode T and the length of `last_S` are rounded up to a multiple of kGemmRows; the extra rows repeat token 0 and
/// their results are never read.
struct BatchLayout {
  Mode mode = Mode::kAutograd;
  at::Tensor ids_T;        ///< int64, on the model's device
  at::Tensor cos_TF;       ///< float32, cosines of the positions' angles
  at::Tensor sin_TF;       ///< float32
  at::Tensor last_S;       ///< int64, packed index of each response's last token
  std::vector<batch::Segment> prompts;
  std::vector<batch::Segment> responses;
  std::int64_t num_tokens = 0;     ///< real tokens
  std::int64_t num_responses = 0;  ///< real responses
};

/// Builds the layout. `inverse_frequencies_F` (float32) holds the angle per position of each pair of a head;
/// `attention_scaling` multiplies cosines and sines.
BatchLayout make_layout(const batch::PackedBatch& batch, const at::Tensor& inverse_frequencies_F, double attention_scaling,
                        Mode mode, const at::Device& device);

}  // namespace charm::nn
