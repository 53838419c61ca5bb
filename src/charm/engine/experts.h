#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "charm/engine/block_workspace.h"
#include "charm/engine/linear.h"
#include "charm/kernels/expert_rows.h"

namespace charm::engine {

// T rows, X experts, D model width, F width of an expert.

/// SwiGLU / GeGLU: down(activation(gate(x)) * up(x)).
struct GatedMlp {
  GatedLinear gated;
  Linear down;
};

/// A mixture of experts in place of a block's MLP (arXiv 2401.04088). The router computes in
/// float32 whatever the model's dtype: rounded logits would tie. Immutable; safe for concurrent
/// use.
struct Experts {
  kernels::ExpertRouting routing;
  at::Tensor router_XD;  ///< the modes without packing
  Linear packed_router;  ///< Mode::kInference, float32
  std::vector<GatedMlp> mlps;
};

/// sum_e w_e(x) mlp_e(x) over the experts that the router picks for each row. Every expert is
/// called, with no rows too, so that all of them have gradients.
/// @param x_TD  [T, D] of the model's dtype
/// @return      [T, D]. Gradients flow in autograd mode, also through the weights w_e.
at::Tensor mix_experts(const Experts& experts, const at::Tensor& x_TD, Mode mode);

/// The same in inference mode into `out_TD`, or added to it; `out_TD` may be x itself. A row's bits
/// depend on that row alone.
void mix_experts_into(const Experts& experts, const at::Tensor& x_TD, bool add,
                      BlockWorkspace& workspace, at::Tensor& out_TD);

}  // namespace charm::engine
