#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/generate/generation.h"

namespace charm::generate {

// V vocabulary.

/// Throws kUsage, naming option, found and expected, for settings that mean nothing.
void check_sampling(const SamplingOptions& options);

/// What a token's random number depends on, beside the seed.
struct DrawKey {
  std::string prompt_id;
  std::int32_t sample = 0;
  std::int64_t position = 0;  ///< of the token in its response, from 0
};

struct TokenProbability {
  std::int32_t id = 0;
  double probability = 0.0;
};

/// Chooses tokens. The rules and their order are those of transformers 5.17's generate: repetition
/// penalty (RepetitionPenaltyLogitsProcessor), then temperature, top-k, top-p, min-p (the
/// *LogitsWarper classes). Temperature 0 takes the likeliest token of the penalised logits; of
/// equal ones the lowest id. Immutable; safe for concurrent use.
class Sampler {
 public:
  explicit Sampler(SamplingOptions options);

  /// @param logits_V  finite or -infinity
  /// @param seen      the prompt's and the written tokens: what the repetition penalty looks at
  std::int32_t next(std::span<const float> logits_V, std::span<const std::int32_t> seen,
                    const DrawKey& key) const;

  /// The tokens that may come next with their probabilities, which sum to 1; likeliest first. One
  /// token with temperature 0.
  std::vector<TokenProbability> distribution(std::span<const float> logits_V,
                                             std::span<const std::int32_t> seen) const;

 private:
  std::vector<TokenProbability> candidates(std::span<const float> logits_V,
                                           std::span<const std::int32_t> seen) const;

  SamplingOptions options_;
};

}  // namespace charm::generate
