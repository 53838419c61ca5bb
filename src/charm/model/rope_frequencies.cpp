#include "charm/model/rope_frequencies.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/where.h>

#include <numbers>

namespace charm::model {
namespace {

// _compute_llama3_parameters: long waves are slowed by `factor`, short ones kept, those between blended.
at::Tensor llama3_frequencies(const at::Tensor& base, const RopeConfig& rope) {
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  const at::Tensor wavelength = at::reciprocal(base) * (2 * std::numbers::pi);
  const at::Tensor is_long = wavelength > original / rope.low_freq_factor;
  const at::Tensor is_short = wavelength < original / rope.high_freq_factor;
  const at::Tensor slowed = at::where(is_long, base / rope.factor, base);
  const at::Tensor smooth =
      (at::reciprocal(wavelength) * original - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  const at::Tensor blended = (1 - smooth) * slowed / rope.factor + smooth * slowed;
  return at::where(is_long.logical_not().logical_and(is_short.logical_not()), blended, slowed);
}

}  // namespace

at::Tensor rope_frequencies(const RopeConfig& rope, std::int64_t head_dim) {
  const at::Tensor exponents = at::arange(0, head_dim, 2, at::kFloat) / head_dim;
  const at::Tensor base = at::reciprocal(at::pow(rope.theta, exponents));
  switch (rope.kind) {
    case RopeKind::kDefault: return base;
    case RopeKind::kLinear: return base / rope.factor;
    case RopeKind::kLlama3: return llama3_frequencies(base, rope);
  }
  return base;
}

}  // namespace charm::model
