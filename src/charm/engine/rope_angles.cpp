#include <algorithm>
#include <cmath>

#include "charm/base/check.h"
#include "charm/engine/rope.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
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
