#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/token_batch.h"
#include "charm/torch/decoder.h"
#include "tests/support/small_decoders.h"

// Decoders of the GPU back end on a CPU, from folders and with random weights.
namespace charm::torch {

using engine::random_ids;

inline constexpr AttentionKernel kKernels[] = {AttentionKernel::kFlash, AttentionKernel::kPadded};

/// Tensors as they are, in the model's dtype.
inline Place on_cpu(at::ScalarType dtype) {
  return [dtype](const engine::Tensor& stored, bool float32) {
    if (!stored.defined()) return at::Tensor();
    return view_of(stored).to(float32 ? at::kFloat : dtype);
  };
}

inline Decoder make_decoder(const engine::DecoderConfig& config,
                            const engine::DecoderWeights& weights, at::ScalarType dtype,
                            AttentionKernel kernel) {
  return {config, weights, on_cpu(dtype), Use::kInference, kernel};
}

inline std::vector<float> to_vector(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kFloat).contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

inline std::vector<float> scores_of(const Decoder& decoder,
                                    const std::vector<engine::PromptGroup>& groups) {
  return to_vector(decoder.forward(decoder.layout(engine::pack(groups), nullptr)));
}

}  // namespace charm::torch
