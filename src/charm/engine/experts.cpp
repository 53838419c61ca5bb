#include "charm/engine/experts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include "charm/engine/kernel_call.h"

namespace charm::engine {

at::Tensor mix_experts(const Experts& experts, const at::Tensor& x_TD, Mode mode) {
  const std::int64_t k = experts.routing.experts_per_token, rows = x_TD.size(0);
  const at::Tensor logits_TX = at::linear(x_TD.to(at::kFloat), experts.router_XD.to(at::kFloat));
  auto [weights_Tk, expert_Tk] = at::topk(at::softmax(logits_TX, /*dim=*/-1), k);
  if (experts.routing.normalise)
    weights_Tk = weights_Tk / weights_Tk.sum(/*dim=*/-1, /*keepdim=*/true);
  const at::Tensor expert_N = expert_Tk.flatten();
  const at::Tensor order_N = at::argsort(expert_N, /*stable=*/true, /*dim=*/0);
  const at::Tensor counts =
      at::bincount(expert_N, /*weights=*/{}, experts.routing.num_experts).to(at::kCPU);
  const at::Tensor gathered_ND = x_TD.index_select(0, order_N.floor_divide(k));
  std::vector<at::Tensor> parts;
  std::int64_t begin = 0;
  for (std::size_t e = 0; e < experts.mlps.size(); ++e) {
    const std::int64_t count = counts.const_data_ptr<std::int64_t>()[e];
    if (count == 0 && mode != Mode::kAutograd) continue;
    const GatedMlp& mlp = experts.mlps[e];
    parts.push_back(mlp.down.forward(mlp.gated.forward(gathered_ND.narrow(0, begin, count), mode)));
    begin += count;
  }
  if (parts.empty()) return x_TD;  // no rows
  at::Tensor place_N = at::empty_like(order_N);
  place_N.index_copy_(0, order_N, at::arange(rows * k, order_N.options()));
  const at::Tensor y_TkD =
      at::cat(parts).index_select(0, place_N).view({rows, k, x_TD.size(1)}).to(at::kFloat);
  return (y_TkD * weights_Tk.unsqueeze(-1)).sum(/*dim=*/1).to(x_TD.scalar_type());
}

void mix_experts_into(const Experts& experts, const at::Tensor& x_TD, bool add,
                      BlockWorkspace& workspace, at::Tensor& out_TD) {
  using Slot = BlockWorkspace::Slot;
  const std::int64_t rows = x_TD.size(0), width = x_TD.size(1);
  const at::Tensor logits_TX = experts.packed_router.forward(x_TD.to(at::kFloat));
  const kernels::ExpertRows expert_rows =
      kernels::route(elements<float>(logits_TX), rows, experts.routing);
  const auto num_gathered = static_cast<std::int64_t>(expert_rows.rows_N.size());
  at::Tensor gathered_ND = workspace.take(Slot::kGathered, num_gathered, width, x_TD.options());
  const std::int64_t mlp_width = experts.mlps.front().gated.outputs();
  at::Tensor hidden_NF = workspace.take(Slot::kHidden, num_gathered, mlp_width, x_TD.options());
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::gather_rows<Element>(elements<Element>(x_TD), expert_rows, width,
                                  mutable_elements<Element>(gathered_ND));
  });
  for (std::size_t e = 0; e < experts.mlps.size(); ++e) {
    const std::int64_t begin = expert_rows.begins_X[e];
    const std::int64_t count = expert_rows.begins_X[e + 1] - begin;
    if (count == 0) continue;
    at::Tensor of_expert = gathered_ND.narrow(0, begin, count);
    at::Tensor hidden = hidden_NF.narrow(0, begin, count);
    experts.mlps[e].gated.forward_into(of_expert, hidden);
    const Projection to[] = {{&experts.mlps[e].down, of_expert}};  // its input is used up
    project(hidden, to);
  }
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::combine_rows<Element>(elements<Element>(gathered_ND), expert_rows, rows, width, add,
                                   mutable_elements<Element>(out_TD));
  });
}

}  // namespace charm::engine
