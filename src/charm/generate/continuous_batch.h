#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/model/causal_lm.h"

namespace charm::generate {

/// A prompt's tokens and the sequences that are to continue it; they share its part of the cache.
struct TokenPrompt {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> sequences;  ///< the caller's numbers
};

struct BatchOptions {
  std::int64_t max_sequences = 64;  ///< written to at once
  std::int64_t chunk_tokens =
      256;                      ///< tokens of one pass: one of each sequence, the rest from prompts
  std::size_t num_threads = 0;  ///< for choosing tokens; 0: all processors
};

/// What the caller does with sequences.
struct BatchCallbacks {
  /// The next prompt; empty when there are no more.
  std::function<std::optional<TokenPrompt>()> next_prompt;
  /// The token behind these logits [V]; empty when the sequence ends here. Called for several
  /// sequences at once.
  std::function<std::optional<std::int32_t>(std::size_t sequence, std::span<const float> logits_V)>
      next_token;
  /// The sequence is finished: it ended, or it cannot go on for the reason given.
  std::function<void(std::size_t sequence, const std::optional<std::string>& error)> on_finished;
};

/// Writes all sequences: prompts are filled in by chunks beside sequences that are being written, a
/// finished sequence's place goes to the next. When the cache is full the sequence begun last gives
/// its part up and is filled in again later; one that does not fit alone ends with an error. None
/// of this changes a sequence's logits where the model keeps its promise (model/causal_lm.h).
void run_continuous_batch(model::CausalLM& model, const BatchOptions& options,
                          const BatchCallbacks& callbacks);

}  // namespace charm::generate
