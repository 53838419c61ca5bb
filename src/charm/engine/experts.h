#pragma once

#include <vector>

#include "charm/engine/block_workspace.h"
#include "charm/engine/ops.h"
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
  Linear router;  ///< [X, D], float32
  std::vector<GatedMlp> mlps;
};

/// sum_e w_e(x) mlp_e(x) over the experts that the router picks for each row, into `out_TD`, or
/// added to it; `out_TD` may be x itself. A row's bits depend on that row alone.
void mix_experts(const Experts& experts, const Tensor& x_TD, bool add, BlockWorkspace& workspace,
                 Tensor& out_TD);

}  // namespace charm::engine
