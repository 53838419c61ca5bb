#include "charm/nn/layout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/outer.h>

#include "charm/nn/linear.h"

namespace charm::nn {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

RopeTable make_table(const RopeFrequencies& frequencies, const at::Tensor& positions_T, const std::vector<batch::Segment>& responses) {
  // Angles in float32 as transformers computes them (position * inverse frequency), so that the two agree to the last bits.
  const auto angles = [&](const at::Tensor& positions, const at::Tensor& inverse_F) {
    return at::outer(positions, inverse_F.to(positions_T.device()));
  };
  const at::Tensor angles_TF = angles(positions_T, frequencies.inverse_F);
  for (const batch::Segment& s : responses) {
    const std::int64_t length = s.prompt_length + s.response_length;
    if (length <= frequencies.fixed_up_to) continue;
    const at::Tensor inverse_F = frequencies.of_length(length);
    const auto rewrite = [&](std::int64_t begin, std::int64_t rows) {
      angles_TF.narrow(0, begin, rows).copy_(angles(positions_T.narrow(0, begin, rows), inverse_F));
    };
    rewrite(s.prompt_begin, s.prompt_length);
    rewrite(s.response_begin, s.response_length);
  }
  return {angles_TF.cos() * frequencies.attention_scaling, angles_TF.sin() * frequencies.attention_scaling};
}

}  // namespace

BatchLayout make_layout(const batch::PackedBatch& batch, std::span<const RopeFrequencies> frequencies, Mode mode,
                        const at::Device& device) {
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
  const at::Tensor positions_T = to_device(positions, at::kFloat);
  for (const RopeFrequencies& one : frequencies) layout.ropes.push_back(make_table(one, positions_T, layout.responses));
  return layout;
}

}  // namespace charm::nn
