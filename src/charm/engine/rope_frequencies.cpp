#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "charm/engine/decoder.h"

namespace charm::engine {
namespace {

// _compute_llama3_parameters: low frequencies are divided by `factor`, high ones kept, those
// between interpolated smoothly.
at::Tensor llama3_frequencies(const at::Tensor& base, const RopeConfig& rope) {
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  const at::Tensor wavelength = at::reciprocal(base) * (2 * std::numbers::pi);
  const at::Tensor is_long = wavelength > original / rope.low_freq_factor;
  const at::Tensor is_short = wavelength < original / rope.high_freq_factor;
  const at::Tensor slowed = at::where(is_long, base / rope.factor, base);
  const at::Tensor smooth = (at::reciprocal(wavelength) * original - rope.low_freq_factor) /
                            (rope.high_freq_factor - rope.low_freq_factor);
  const at::Tensor blended = (1 - smooth) * slowed / rope.factor + smooth * slowed;
  return at::where(is_long.logical_not().logical_and(is_short.logical_not()), blended, slowed);
}

// _compute_dynamic_ntk_parameters: the base grows with the length, in float32 as in transformers.
at::Tensor dynamic_frequencies(const RopeConfig& rope, std::int64_t length,
                               const at::Tensor& exponents, std::int64_t rotary_dim) {
  const at::Tensor tokens = at::scalar_tensor(length, at::kLong);
  const at::Tensor growth =
      tokens * rope.factor / static_cast<double>(rope.original_max_position_embeddings) -
      (rope.factor - 1);
  const at::Tensor theta =
      growth.pow(static_cast<double>(rotary_dim) / static_cast<double>(rotary_dim - 2)) *
      rope.theta;
  return at::reciprocal(at::pow(theta, exponents));
}

// _compute_yarn_parameters, find_correction_dim: the dimension with this many rotations over the
// original length.
double yarn_dimension(const RopeConfig& rope, double rotations, std::int64_t rotary_dim) {
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  return static_cast<double>(rotary_dim) * std::log(original / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

// _compute_yarn_parameters: high frequencies are extrapolated (kept), low ones interpolated
// (divided by `factor`), those between blended by a linear ramp.
at::Tensor yarn_frequencies(const RopeConfig& rope, const at::Tensor& exponents,
                            std::int64_t rotary_dim) {
  double low = yarn_dimension(rope, rope.beta_fast, rotary_dim);
  double high = yarn_dimension(rope, rope.beta_slow, rotary_dim);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary_dim - 1));
  if (low == high) high += 0.001;  // as in transformers: avoids division by zero
  const at::Tensor ramp =
      ((at::arange(rotary_dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const at::Tensor extrapolated = 1 - ramp;
  const at::Tensor powers = at::pow(rope.theta, exponents);
  return at::reciprocal(powers * rope.factor) * (1 - extrapolated) +
         at::reciprocal(powers) * extrapolated;
}

// _compute_longrope_parameters: per-pair divisors of the frequencies.
at::Tensor longrope_frequencies(const RopeConfig& rope, const std::vector<double>& factors,
                                const at::Tensor& exponents) {
  return at::reciprocal(at::tensor(factors, at::kFloat) * at::pow(rope.theta, exponents));
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeConfig& rope, std::int64_t rotary_dim) {
  const at::Tensor exponents = at::arange(0, rotary_dim, 2, at::kFloat) / rotary_dim;
  RopeFrequencies frequencies;
  frequencies.inverse_F = at::reciprocal(at::pow(rope.theta, exponents));
  switch (rope.kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear:
      frequencies.inverse_F = frequencies.inverse_F / rope.factor;
      break;
    case RopeKind::kLlama3:
      frequencies.inverse_F = llama3_frequencies(frequencies.inverse_F, rope);
      break;
    case RopeKind::kYarn:
      frequencies.inverse_F = yarn_frequencies(rope, exponents, rotary_dim);
      frequencies.attention_scaling = rope.attention_factor;
      break;
    case RopeKind::kLongRope:
      frequencies.inverse_F = longrope_frequencies(rope, rope.short_factor, exponents);
      frequencies.attention_scaling = rope.attention_factor;
      frequencies.fixed_up_to = rope.original_max_position_embeddings;
      frequencies.of_length = [long_F = longrope_frequencies(rope, rope.long_factor, exponents)](
                                  std::int64_t) { return long_F; };
      break;
    case RopeKind::kDynamic:
      frequencies.fixed_up_to = rope.original_max_position_embeddings;
      frequencies.of_length = [=](std::int64_t length) {
        return dynamic_frequencies(rope, length, exponents, rotary_dim);
      };
      break;
  }
  return frequencies;
}

}  // namespace charm::engine
