#include "charm/engine/linear.h"

#include <vector>

#include "charm/base/check.h"

namespace charm::engine {
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

}  // namespace charm::engine
