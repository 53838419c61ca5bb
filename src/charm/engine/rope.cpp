#include "charm/engine/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "charm/base/check.h"
#include "charm/kernels/thread_pool.h"

// Every operation rounds to float32, as transformers' tensors do; F pairs of rotated values.
namespace charm::engine {
namespace {

using Values = std::vector<float>;

float power(float base, float exponent) {
  return static_cast<float>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
}

/// theta^exponent of every pair.
Values powers(float theta, const Values& exponents_F) {
  Values values_F;
  for (const float exponent : exponents_F) values_F.push_back(power(theta, exponent));
  return values_F;
}

template <typename Function>
Values each(Values values_F, const Function& function) {
  for (float& value : values_F) value = function(value);
  return values_F;
}

Values reciprocals(Values values_F) {
  return each(std::move(values_F), [](float value) { return 1.0F / value; });
}

// _compute_llama3_parameters: low frequencies are divided by `factor`, high ones kept, those
// between interpolated smoothly.
Values llama3_frequencies(const Values& base_F, const RopeConfig& rope) {
  const auto original = static_cast<double>(rope.original_max_position_embeddings);
  const auto factor = static_cast<float>(rope.factor);
  return each(base_F, [&](float base) {
    const float wavelength = 1.0F / base * static_cast<float>(2 * std::numbers::pi);
    const bool is_long = wavelength > static_cast<float>(original / rope.low_freq_factor);
    const bool is_short = wavelength < static_cast<float>(original / rope.high_freq_factor);
    const float slowed = is_long ? base / factor : base;
    if (is_long || is_short) return slowed;
    const float smooth = (1.0F / wavelength * static_cast<float>(original) -
                          static_cast<float>(rope.low_freq_factor)) /
                         static_cast<float>(rope.high_freq_factor - rope.low_freq_factor);
    return (1.0F - smooth) * slowed / factor + smooth * slowed;
  });
}

// _compute_dynamic_ntk_parameters: the base grows with the length, in float32 as in transformers.
Values dynamic_frequencies(const RopeConfig& rope, std::int64_t length, const Values& exponents_F,
                           std::int64_t rotary_dim) {
  const float growth = static_cast<float>(length) * static_cast<float>(rope.factor) /
                           static_cast<float>(rope.original_max_position_embeddings) -
                       static_cast<float>(rope.factor - 1);
  const auto exponent = static_cast<double>(rotary_dim) / static_cast<double>(rotary_dim - 2);
  const float theta = power(growth, static_cast<float>(exponent)) * static_cast<float>(rope.theta);
  return reciprocals(powers(theta, exponents_F));
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
Values yarn_frequencies(const RopeConfig& rope, const Values& powers_F, std::int64_t rotary_dim) {
  double low = yarn_dimension(rope, rope.beta_fast, rotary_dim);
  double high = yarn_dimension(rope, rope.beta_slow, rotary_dim);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary_dim - 1));
  if (low == high) high += 0.001;  // as in transformers: avoids division by zero
  Values frequencies_F;
  for (std::size_t f = 0; f < powers_F.size(); ++f) {
    const float ramp = std::clamp(
        (static_cast<float>(f) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0F,
        1.0F);
    const float extrapolated = 1.0F - ramp;
    frequencies_F.push_back(1.0F / (powers_F[f] * static_cast<float>(rope.factor)) *
                                (1.0F - extrapolated) +
                            1.0F / powers_F[f] * extrapolated);
  }
  return frequencies_F;
}

// _compute_longrope_parameters: per-pair divisors of the frequencies.
Values longrope_frequencies(const std::vector<double>& factors, const Values& powers_F) {
  Values frequencies_F;
  for (std::size_t f = 0; f < powers_F.size(); ++f)
    frequencies_F.push_back(1.0F / (static_cast<float>(factors.at(f)) * powers_F[f]));
  return frequencies_F;
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeConfig& rope, std::int64_t rotary_dim) {
  Values exponents_F;
  for (std::int64_t i = 0; i < rotary_dim; i += 2)
    exponents_F.push_back(static_cast<float>(i) / static_cast<float>(rotary_dim));
  const Values powers_F = powers(static_cast<float>(rope.theta), exponents_F);
  RopeFrequencies frequencies;
  frequencies.inverse_F = reciprocals(powers_F);
  switch (rope.kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear:
      frequencies.inverse_F = each(frequencies.inverse_F, [&](float value) {
        return value / static_cast<float>(rope.factor);
      });
      break;
    case RopeKind::kLlama3:
      frequencies.inverse_F = llama3_frequencies(frequencies.inverse_F, rope);
      break;
    case RopeKind::kProportional:  // _compute_proportional_rope_parameters
      for (std::size_t f = 0; f < frequencies.inverse_F.size(); ++f) {
        const auto rotated = std::floor(rope.rotated_pairs * static_cast<double>(rotary_dim) / 2.0);
        const bool rotates = static_cast<double>(f) < rotated;
        frequencies.inverse_F[f] =
            rotates ? frequencies.inverse_F[f] / static_cast<float>(rope.factor) : 0.0F;
      }
      break;
    case RopeKind::kYarn:
      frequencies.inverse_F = yarn_frequencies(rope, powers_F, rotary_dim);
      frequencies.attention_scaling = rope.attention_factor;
      break;
    case RopeKind::kLongRope:
      frequencies.inverse_F = longrope_frequencies(rope.short_factor, powers_F);
      frequencies.attention_scaling = rope.attention_factor;
      frequencies.fixed_up_to = rope.original_max_position_embeddings;
      frequencies.of_length = [long_F = longrope_frequencies(rope.long_factor, powers_F)](
                                  std::int64_t) { return long_F; };
      break;
    case RopeKind::kDynamic:
      frequencies.fixed_up_to = rope.original_max_position_embeddings;
      frequencies.of_length = [=](std::int64_t length) {
        return dynamic_frequencies(rope, length, exponents_F, rotary_dim);
      };
      break;
  }
  return frequencies;
}

std::vector<RopeFrequencies> rope_frequencies(const DecoderConfig& config) {
  std::vector<RopeFrequencies> sets = {
      rope_frequencies(config.rope, rotary_dim(config, config.rope))};
  if (config.local_rope)
    sets.push_back(rope_frequencies(*config.local_rope, rotary_dim(config, *config.local_rope)));
  return sets;
}

namespace {

/// Angles in float32 as transformers computes them (position * inv_freq); their cosine and sine are
/// correctly rounded, then scaled.
void fill_angles(std::int64_t position, std::span<const float> inverse_F, double scaling,
                 float* cos_F, float* sin_F) {
  const auto factor = static_cast<float>(scaling);
  for (std::size_t f = 0; f < inverse_F.size(); ++f) {
    const double angle = static_cast<float>(position) * inverse_F[f];
    cos_F[f] = static_cast<float>(std::cos(angle)) * factor;
    sin_F[f] = static_cast<float>(std::sin(angle)) * factor;
  }
}

/// Positions per task.
constexpr std::int64_t kPositions = 32;

}  // namespace

void RopeAngles::grow(std::int64_t positions) {
  if (positions <= num_positions_) return;
  const auto width = static_cast<std::int64_t>(frequencies_.inverse_F.size());
  const std::int64_t first = num_positions_;
  num_positions_ = std::max(positions, 2 * num_positions_);
  cos_.resize(static_cast<std::size_t>(num_positions_ * width));
  sin_.resize(cos_.size());
  kernels::parallel_for_ranges(
      num_positions_ - first, kPositions, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = first + begin; p < first + end; ++p) {
          fill_angles(p, frequencies_.inverse_F, frequencies_.attention_scaling,
                      cos_.data() + p * width, sin_.data() + p * width);
        }
      });
}

RopeTable RopeAngles::table(std::span<const std::int32_t> positions_T,
                            std::span<const RopeSpan> spans) {
  const auto width = static_cast<std::int64_t>(frequencies_.inverse_F.size());
  const auto rows = static_cast<std::int64_t>(positions_T.size());
  RopeTable table{Tensor::empty({rows, width}, DType::kFloat32),
                  Tensor::empty({rows, width}, DType::kFloat32)};
  float* cos_TF = table.cos_TF.mutable_data<float>();
  float* sin_TF = table.sin_TF.mutable_data<float>();
  if (rows > 0) grow(std::ranges::max(positions_T) + 1);
  for (std::int64_t t = 0; t < rows; ++t) {
    const std::int64_t from = positions_T[static_cast<std::size_t>(t)] * width;
    std::copy_n(cos_.begin() + from, width, cos_TF + t * width);
    std::copy_n(sin_.begin() + from, width, sin_TF + t * width);
  }
  for (const RopeSpan& span : spans) {
    if (span.length <= frequencies_.fixed_up_to) continue;
    const std::vector<float> inverse_F = frequencies_.of_length(span.length);
    CHARM_CHECK(std::ssize(inverse_F) == width, "{} frequencies of {}", inverse_F.size(), width);
    for (std::int64_t t = span.begin; t < span.begin + span.rows; ++t) {
      fill_angles(positions_T[static_cast<std::size_t>(t)], inverse_F,
                  frequencies_.attention_scaling, cos_TF + t * width, sin_TF + t * width);
    }
  }
  return table;
}

std::vector<RopeAngles> rope_angles(const DecoderConfig& config) {
  std::vector<RopeAngles> angles;
  for (RopeFrequencies& frequencies : rope_frequencies(config))
    angles.emplace_back(std::move(frequencies));
  return angles;
}

}  // namespace charm::engine
