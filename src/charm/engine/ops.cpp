#include "charm/engine/ops.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "charm/base/check.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {

void rms_norm(const Tensor& x_TD, const Tensor& weight_D, const NormConfig& config,
              Tensor& out_TD) {
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::rms_norm(x_TD.data<Element>(), weight_D.data<Element>(),
                      static_cast<float>(config.eps), out_TD.mutable_data<Element>(), x_TD.rows(),
                      x_TD.cols(), static_cast<float>(config.weight_offset));
  });
}

Tensor rms_norm_float32(const Tensor& x_TD, const Tensor& weight_D, const NormConfig& config) {
  Tensor normed = Tensor::empty(x_TD.shape(), DType::kFloat32);
  rms_norm(x_TD.to(DType::kFloat32), weight_D.to(DType::kFloat32), config, normed);
  return normed;
}

void norm_heads(Tensor& x_THE, const Tensor& weight_E, const NormConfig& config) {
  if (!weight_E.defined()) return;
  Tensor heads = x_THE.view({x_THE.numel() / weight_E.rows(), weight_E.rows()});
  rms_norm(heads, weight_E, config, heads);
}

void apply_rope(Tensor& x_THE, const Tensor& cos_TF, const Tensor& sin_TF, std::int64_t heads) {
  call_for_dtype(x_THE, [&](auto element) {
    using Element = decltype(element);
    kernels::rope(x_THE.mutable_data<Element>(), cos_TF.data<float>(), sin_TF.data<float>(),
                  x_THE.rows(), heads, x_THE.cols() / heads, 2 * cos_TF.cols());
  });
}

void add_to(Tensor& to, const Tensor& x) {
  call_for_dtype(to, [&](auto element) {
    using Element = decltype(element);
    kernels::add(to.mutable_data<Element>(), x.data<Element>(), to.numel());
  });
}

void scale(Tensor& x, float factor) {
  call_for_dtype(x, [&](auto element) {
    kernels::scale(x.mutable_data<decltype(element)>(), factor, x.numel());
  });
}

Tensor embedding_rows(const Tensor& table_VD, std::span<const std::int64_t> rows, float factor,
                      DType dtype) {
  Tensor x_TD = select_rows(table_VD, rows).to(dtype);
  if (factor != 1.0F) scale(x_TD, factor);
  return x_TD;
}

void sigmoid_mul(Tensor& x, const Tensor& gate) {
  call_for_dtype(x, [&](auto element) {
    using Element = decltype(element);
    kernels::sigmoid_mul(x.mutable_data<Element>(), gate.data<Element>(), x.numel());
  });
}

Tensor select_rows(const Tensor& x_TD, std::span<const std::int64_t> rows) {
  Tensor selected = Tensor::empty({std::ssize(rows), x_TD.cols()}, x_TD.dtype());
  const std::size_t bytes = static_cast<std::size_t>(x_TD.cols()) * element_bytes(x_TD.dtype());
  std::byte* to = selected.mutable_bytes();
  for (const std::int64_t row : rows) {
    CHARM_CHECK(row >= 0 && row < x_TD.rows(), "row {} of {}", row, x_TD.rows());
    std::memcpy(to, x_TD.bytes() + static_cast<std::size_t>(row) * bytes, bytes);
    to += bytes;
  }
  return selected;
}

kernels::AttentionShape attention_shape(std::int64_t heads, std::int64_t key_heads,
                                        std::int64_t head_dim, const AttentionConfig& config) {
  const double scale =
      config.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(head_dim)) : config.scale;
  return {.heads = heads,
          .key_heads = key_heads,
          .head_dim = head_dim,
          .scale = static_cast<float>(scale),
          .window = config.window,
          .softcap = static_cast<float>(config.softcap)};
}

namespace {

template <typename Element>
kernels::GemmOutput<Element> output_of(const kernels::PackedWeight& weight, Tensor& out_NO) {
  CHARM_CHECK(out_NO.cols() == weight.outputs(), "{} columns for {} outputs", out_NO.cols(),
              weight.outputs());
  kernels::GemmOutput<Element> output;
  output.weight = &weight;
  output.out = out_NO.mutable_data<Element>();
  output.row_stride = out_NO.cols();
  return output;
}

template <typename Element>
void apply_gemm(const Tensor& x_NI, std::span<const kernels::GemmOutput<Element>> outputs) {
  CHARM_CHECK(x_NI.cols() == outputs.front().weight->inputs(), "{} inputs for a layer of {}",
              x_NI.cols(), outputs.front().weight->inputs());
  kernels::gemm<Element>(x_NI.data<Element>(), x_NI.cols(), x_NI.rows(), outputs);
}

}  // namespace

bool has_native_bfloat16() { return __builtin_cpu_supports("avx512bf16") != 0; }

Linear Linear::pack(const Tensor& weight_OI, const Tensor& bias_O) {
  Linear linear;
  call_for_dtype(weight_OI, [&](auto element) {
    using Element = decltype(element);
    linear.weight_ =
        std::make_shared<const kernels::PackedWeight>(kernels::PackedWeight::pack<Element>(
            weight_OI.data<Element>(), data_or_null<Element>(bias_O), weight_OI.rows(),
            weight_OI.cols()));
  });
  return linear;
}

Tensor Linear::forward(const Tensor& x_NI) const {
  Tensor y_NO = Tensor::empty({x_NI.rows(), outputs()}, x_NI.dtype());
  const Projection to[] = {{this, y_NO}};
  project(x_NI, to);
  return y_NO;
}

void project(const Tensor& x_NI, std::span<const Projection> to) {
  call_for_dtype(x_NI, [&](auto element) {
    using Element = decltype(element);
    std::vector<kernels::GemmOutput<Element>> outputs;
    for (const Projection& one : to) {
      Tensor out = one.out_NO;
      outputs.push_back(output_of<Element>(one.linear->weight(), out));
      outputs.back().add = one.add;
    }
    apply_gemm<Element>(x_NI, outputs);
  });
}

GatedLinear GatedLinear::pack(const Tensor& gate_FI, const Tensor& gate_bias_F, const Tensor& up_FI,
                              const Tensor& up_bias_F, Activation activation) {
  GatedLinear gated;
  gated.activation_ = activation;
  call_for_dtype(gate_FI, [&](auto element) {
    using Element = decltype(element);
    gated.weight_ =
        std::make_shared<const kernels::PackedWeight>(kernels::PackedWeight::pack_gated<Element>(
            gate_FI.data<Element>(), data_or_null<Element>(gate_bias_F), up_FI.data<Element>(),
            data_or_null<Element>(up_bias_F), gate_FI.rows(), gate_FI.cols()));
  });
  return gated;
}

void GatedLinear::forward(const Tensor& x_NI, Tensor& out_NF) const {
  call_for_dtype(x_NI, [&](auto element) {
    using Element = decltype(element);
    kernels::GemmOutput<Element> output = output_of<Element>(*weight_, out_NF);
    output.gate = activation_;
    apply_gemm<Element>(x_NI, std::span<const kernels::GemmOutput<Element>>(&output, 1));
  });
}

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
