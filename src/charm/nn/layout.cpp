#include "charm/nn/layout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/outer.h>

#include "charm/nn/linear.h"

namespace charm::nn {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

BatchLayout make_layout(const batch::PackedBatch& batch, const at::Tensor& inverse_frequencies_F, double attention_scaling,
                        Mode mode, const at::Device& device) {
  BatchLayout layout;
  layout.mode = mode;
  layout.prompts = batch.prompts;
  layout.responses = batch.responses;
  layout.num_tokens = batch.num_tokens();
  layout.num_responses = static_cast<std::int64_t>(batch.responses.size());

  const std::int64_t step = mode == Mode::kInference ? kGemmRows : 1;
  std::vector<std::int64_t> ids(batch.ids.begin(), batch.ids.end());
  std::vector<float> positions(batch.positions.begin(), batch.positions.end());
  std::vector<std::int64_t> last = batch.last;
  ids.resize(static_cast<std::size_t>(round_up(layout.num_tokens, step)), 0);
  positions.resize(ids.size(), 0.0f);
  last.resize(static_cast<std::size_t>(round_up(layout.num_responses, step)), 0);

  const auto to_device = [&](auto& values, at::ScalarType type) {
    return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, type).clone().to(device);
  };
  layout.ids_T = to_device(ids, at::kLong);
  layout.last_S = to_device(last, at::kLong);
  // Angles in float32 as transformers computes them (position * inverse frequency), so that the two agree to the last bits.
  const at::Tensor angles_TF = at::outer(to_device(positions, at::kFloat), inverse_frequencies_F.to(device));
  layout.cos_TF = angles_TF.cos() * attention_scaling;
  layout.sin_TF = angles_TF.sin() * attention_scaling;
  return layout;
}

}  // namespace charm::nn
