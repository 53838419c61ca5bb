#include <cmath>
#include <numbers>
#include <vector>

#include "charm/engine/cpu_block.h"
#include "charm/engine/ops.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {
namespace {

/// (norm(projection(embedding)) + table row) / sqrt(2), [T, P].
Tensor input_of(const PerLayerInput& own, std::span<const std::int64_t> ids_T, DType dtype,
                BlockWorkspace& workspace) {
  const Tensor embedded = embedding_rows(own.embed_VD, ids_T, own.embedding_scale, dtype);
  Tensor input =
      workspace.take(BlockWorkspace::kPerLayer, std::ssize(ids_T), own.projection.outputs(), dtype);
  const Projection to[] = {{&own.projection, input}};
  project(embedded, to);
  scale(input, own.projection_scale);
  rms_norm(input, own.norm_P, own.norm, input);
  std::vector<std::int64_t> rows;
  for (const std::int64_t id : ids_T) rows.push_back(id * own.num_layers + own.layer);
  add_to(input, embedding_rows(own.table_VNP, rows, own.table_scale, dtype));
  scale(input, static_cast<float>(1.0 / std::numbers::sqrt2));
  return input;
}

}  // namespace

float rounded_scale(double scale, DType dtype) {
  return Tensor::of(std::vector<float>{static_cast<float>(scale)})
      .to(dtype)
      .to(DType::kFloat32)
      .data<float>()[0];
}

PerLayerInput make_per_layer_input(const DecoderConfig& config, std::size_t layer,
                                   const DecoderWeights& weights, DType dtype) {
  const PerLayerConfig& own = config.per_layer.value();
  const BlockWeights& block = weights.blocks.at(layer);
  const auto packed = [&](const Tensor& weight) {
    return Linear::pack(weight.to(dtype), Tensor());
  };
  PerLayerInput input;
  input.embed_VD = weights.embed_VD;
  input.embedding_scale = rounded_scale(config.embedding_scale, dtype);
  input.table_VNP =
      weights.per_layer_embed_VP.view({own.vocab_size * config.num_layers, own.width});
  input.table_scale = rounded_scale(std::sqrt(static_cast<double>(own.width)), dtype);
  input.layer = static_cast<std::int64_t>(layer);
  input.num_layers = config.num_layers;
  input.projection =
      packed(weights.per_layer_projection_PD.narrow(input.layer * own.width, own.width));
  input.projection_scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.hidden_size)));
  input.norm_P = weights.per_layer_norm_P.to(dtype);
  input.norm = {.eps = config.rms_norm_eps};
  input.gate = packed(block.per_layer_gate_PD);
  input.out = packed(block.per_layer_out_DP);
  input.out_norm_D = block.per_layer_out_norm_D.to(dtype);
  return input;
}

void add_per_layer_input(const PerLayerInput& own, std::span<const std::int64_t> ids_T,
                         BlockWorkspace& workspace, Tensor& x_TD) {
  using Slot = BlockWorkspace::Slot;
  const Tensor input = input_of(own, ids_T, x_TD.dtype(), workspace);
  Tensor gated = workspace.take(Slot::kPerLayerGate, x_TD.rows(), input.cols(), x_TD.dtype());
  const Projection to_gate[] = {{&own.gate, gated}};
  project(x_TD, to_gate);
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::gelu_tanh_mul(gated.mutable_data<Element>(), input.data<Element>(), gated.numel());
  });
  Tensor branch = workspace.take(Slot::kBranch, x_TD.rows(), x_TD.cols(), x_TD.dtype());
  const Projection to_model[] = {{&own.out, branch}};
  project(gated, to_model);
  rms_norm(branch, own.out_norm_D, own.norm, branch);
  add_to(x_TD, branch);
}

}  // namespace charm::engine
