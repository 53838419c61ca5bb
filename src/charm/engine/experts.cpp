#include "charm/engine/experts.h"

namespace charm::engine {

void mix_experts(const Experts& experts, const Tensor& x_TD, bool add, BlockWorkspace& workspace,
                 Tensor& out_TD) {
  using Slot = BlockWorkspace::Slot;
  const std::int64_t rows = x_TD.rows(), width = x_TD.cols();
  const Tensor logits_TX = experts.router.forward(x_TD.to(DType::kFloat32));
  const kernels::ExpertRows expert_rows =
      kernels::route(logits_TX.data<float>(), rows, experts.routing);
  const auto num_gathered = static_cast<std::int64_t>(expert_rows.rows_N.size());
  Tensor gathered_ND = workspace.take(Slot::kGathered, num_gathered, width, x_TD.dtype());
  const std::int64_t mlp_width = experts.mlps.front().gated.outputs();
  Tensor hidden_NF = workspace.take(Slot::kHidden, num_gathered, mlp_width, x_TD.dtype());
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::gather_rows<Element>(x_TD.data<Element>(), expert_rows, width,
                                  gathered_ND.mutable_data<Element>());
  });
  for (std::size_t e = 0; e < experts.mlps.size(); ++e) {
    const std::int64_t begin = expert_rows.begins_X[e];
    const std::int64_t count = expert_rows.begins_X[e + 1] - begin;
    if (count == 0) continue;
    Tensor of_expert = gathered_ND.narrow(begin, count);
    Tensor hidden = hidden_NF.narrow(begin, count);
    experts.mlps[e].gated.forward(of_expert, hidden);
    const Projection to[] = {{&experts.mlps[e].down, of_expert}};  // its input is used up
    project(hidden, to);
  }
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::combine_rows<Element>(gathered_ND.data<Element>(), expert_rows, rows, width, add,
                                   out_TD.mutable_data<Element>());
  });
}

}  // namespace charm::engine
