#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>

#include "charm/engine/linear.h"

namespace charm::engine {

std::string_view gemm_backend_name(GemmBackend backend) {
  switch (backend) {
    case GemmBackend::kCharm:
      return "charm";
    case GemmBackend::kOneDnnPacked:
      return "onednn-packed";
    case GemmBackend::kAtenLinear:
      return "aten-linear";
  }
  return "";
}

bool has_native_bfloat16() { return __builtin_cpu_supports("avx512bf16") != 0; }

bool is_row_invariant(GemmBackend backend, const at::Tensor& whole_OI) {
  // Our GEMM treats all panels of outputs alike: a sample of them suffices.
  constexpr std::int64_t kOutputs = 1024;
  const bool sampled = backend == GemmBackend::kCharm && whole_OI.size(0) > kOutputs;
  const at::Tensor weight_OI = sampled ? whole_OI.narrow(0, 0, kOutputs) : whole_OI;
  const Linear linear = Linear::packed(weight_OI, at::Tensor(), backend);
  auto generator = at::detail::createCPUGenerator(/*seed_val=*/20260117);
  const auto random = [&] {
    return at::randn({kGemmRows, weight_OI.size(1)}, generator,
                     weight_OI.options().dtype(at::kFloat))
        .to(weight_OI.scalar_type());
  };
  const at::Tensor x = random();
  const at::Tensor y = linear.forward(x);
  for (const std::int64_t shift : {1, 7, 50}) {  // the same rows at other positions
    if (!at::equal(linear.forward(x.roll({shift}, {0})), y.roll({shift}, {0}))) return false;
  }
  for (const std::int64_t row :
       {std::int64_t{0}, kGemmRows / 2 + 1, kGemmRows - 1}) {  // among other rows
    at::Tensor other = random();
    other[row].copy_(x[3]);
    if (!at::equal(linear.forward(other)[row], y[3])) return false;
  }
  for (const std::int64_t rows : {1, 7, 41}) {  // among fewer
    if (!at::equal(linear.forward(x.narrow(0, 3, rows)), y.narrow(0, 3, rows))) return false;
  }
  return true;
}

}  // namespace charm::engine
