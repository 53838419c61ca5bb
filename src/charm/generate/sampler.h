#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/generate/generation.h"

namespace charm::generate {

// V vocabulary.

/// Key of the random number of a sampled token, besides the seed.
struct SampleKey {
  std::string prompt_id;
  std::int32_t sample = 0;
  std::int64_t position = 0;  ///< of the token in the response, from 0
};

struct TokenProbability {
  std::int32_t id = 0;
  double probability = 0.0;
};

/// Samples tokens. Rules and order are those of transformers 5.17's generate: repetition penalty
/// (RepetitionPenaltyLogitsProcessor), then temperature, top-k, top-p, min-p (the *LogitsWarper
/// classes). Temperature 0 takes the argmax of the penalised logits, the lowest id on ties.
/// Immutable and thread-safe.
class Sampler {
 public:
  explicit Sampler(SamplingOptions options) : options_(std::move(options)) {}

  /// @param logits_V  finite or -infinity
  /// @param context   prompt and output tokens, for the repetition penalty
  std::int32_t next(std::span<const float> logits_V, std::span<const std::int32_t> context,
                    const SampleKey& key) const;

  /// The candidate tokens with their probabilities, which sum to 1; most likely first. One token
  /// with temperature 0.
  std::vector<TokenProbability> distribution(std::span<const float> logits_V,
                                             std::span<const std::int32_t> context) const;

 private:
  std::vector<TokenProbability> candidates(std::span<const float> logits_V,
                                           std::span<const std::int32_t> context) const;

  SamplingOptions options_;
};

}  // namespace charm::generate
