#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/conversation.h"

namespace charm::generate {

/// Sampling options. Defaults are those of the original project's generation script.
struct SamplingOptions {
  double temperature = 0.7;  ///< 0: the most likely token (greedy)
  double top_p =
      0.9;  ///< keep the smallest set of most likely tokens with this total probability; 1: all
  std::int64_t top_k = 0;  ///< keep this many of the most likely tokens; 0: all
  double min_p = 0.0;      ///< keep tokens at least this likely relative to the most likely; 0: all
  double repetition_penalty =
      1.0;  ///< divides positive logits of tokens in the context, multiplies negative ones; 1: off
  std::int64_t max_new_tokens = 4096;
  std::vector<std::string> stop;             ///< stop strings, not part of the response
  std::vector<std::int64_t> stop_token_ids;  ///< besides the model's EOS tokens
  std::uint64_t seed = 0;
};

/// A response to generate. Its random numbers are keyed by (seed, prompt_id, sample, position).
struct GenerationRequest {
  std::size_t index = 0;  ///< caller-defined, returned with the result
  std::string prompt_id;
  Conversation prompt;
  std::int32_t sample = 0;
};

struct GenerationResult {
  std::size_t index = 0;
  std::string response;
  std::string finish_reason;  ///< "stop" or "length"; empty where `error` is set
  std::int32_t num_prompt_tokens = 0;
  std::int32_t num_tokens = 0;       ///< output tokens, including EOS
  std::optional<std::string> error;  ///< why this row has no response
};

/// Called once per request in completion order; calls are serialized.
using GeneratedFn = std::function<void(GenerationResult result)>;

/// Generates responses: the embedded engine or a pool of servers.
class Generator {
 public:
  virtual ~Generator() = default;

  /// Completes every request, in any order; failed requests return an error. Throws if no request
  /// can be completed (all servers unreachable, out of memory).
  virtual void generate(std::span<const GenerationRequest> requests,
                        const SamplingOptions& sampling, const GeneratedFn& on_generated) = 0;
};

}  // namespace charm::generate
