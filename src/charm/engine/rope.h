#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/engine/tensor.h"

namespace charm::engine {

// T tokens, F = R / 2 with R the values of a head that RoPE rotates.

/// RoPE frequencies; a model has one set, or one per kind of layer (global, sliding-window).
struct RopeFrequencies {
  std::vector<float> inverse_F;    ///< inv_freq: angle per position of each pair of a head
  double attention_scaling = 1.0;  ///< multiplies cos and sin
  /// Longer sequences use `of_length(sequence length)` instead (dynamic NTK, LongRoPE); they must
  /// not share a prompt.
  std::int64_t fixed_up_to = std::numeric_limits<std::int64_t>::max();
  std::function<std::vector<float>(std::int64_t)> of_length;
};

/// inv_freq per pair of the rotated values of a head. Computed in float32 in the order of
/// transformers 5.17, modeling_rope_utils.py, because an ulp here grows with the position; powers
/// are correctly rounded (decision 0106).
///
/// Dynamic NTK and LongRoPE: a sequence longer than the original length has frequencies that depend
/// on its own length alone (transformers uses the longest sequence of a batch and, with dynamic,
/// keeps those of the longest seen so far).
RopeFrequencies rope_frequencies(const RopeConfig& rope, std::int64_t rotary_dim);

/// The frequencies of a model: global, then local where there is one.
std::vector<RopeFrequencies> rope_frequencies(const DecoderConfig& config);

/// cos and sin of a batch's tokens for one set of frequencies.
struct RopeTable {
  Tensor cos_TF, sin_TF;  ///< float32
};

/// Tokens of a sequence of `length`.
struct RopeSpan {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
  std::int64_t length = 0;
};

/// cos and sin of one set of frequencies, computed once per position and kept. Not thread-safe.
class RopeAngles {
 public:
  explicit RopeAngles(RopeFrequencies frequencies) : frequencies_(std::move(frequencies)) {}

  /// The rows of the tokens at `positions_T`.
  /// @param spans  the tokens of sequences, whose length the frequencies may depend on
  RopeTable table(std::span<const std::int32_t> positions_T, std::span<const RopeSpan> spans);

  const RopeFrequencies& frequencies() const { return frequencies_; }

 private:
  void grow(std::int64_t positions);

  RopeFrequencies frequencies_;
  std::int64_t num_positions_ = 0;
  std::vector<float> cos_, sin_;  ///< [positions, F]
};

/// One per set of frequencies of the model.
std::vector<RopeAngles> rope_angles(const DecoderConfig& config);

}  // namespace charm::engine
