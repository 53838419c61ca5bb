#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/engine/causal_lm.h"

namespace charm::generate {

/// A prompt and the sequences sampled from it, which share its KV cache blocks.
struct TokenPrompt {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> sequences;  ///< caller-defined ids
};

struct BatchOptions {
  std::int64_t max_sequences = 64;  ///< decoded concurrently
  std::int64_t chunk_tokens = 256;  ///< tokens per step: one per running sequence, the rest prefill
  std::size_t num_threads = 0;      ///< for sampling; 0: all processors
};

/// Callbacks of the caller.
struct BatchCallbacks {
  /// The next prompt; empty at the end.
  std::function<std::optional<TokenPrompt>()> next_prompt;
  /// Samples the next token from the logits [V]; empty: the sequence ends. Called concurrently for
  /// different sequences.
  std::function<std::optional<std::int32_t>(std::size_t sequence, std::span<const float> logits_V)>
      next_token;
  /// The sequence ended, or failed with an error.
  std::function<void(std::size_t sequence, const std::optional<std::string>& error)> on_finished;
};

/// Generates all sequences with continuous batching and chunked prefill: each step decodes one
/// token of every running sequence and prefills chunks of new prompts. If the KV cache is full, the
/// most recently started sequence is preempted and recomputed later; one that does not fit alone
/// ends with an error. Scheduling does not change a sequence's logits for models that are invariant
/// to batch composition (engine/causal_lm.h).
void run_continuous_batch(engine::CausalLM& model, const BatchOptions& options,
                          const BatchCallbacks& callbacks);

}  // namespace charm::generate
