#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/conversation.h"

namespace charm::generate {

/// How the next token is drawn. Defaults are those of the original project's generation script.
struct SamplingOptions {
  double temperature = 0.7;  ///< 0: the most likely token (greedy)
  double top_p =
      0.9;  ///< keep the smallest set of likely tokens whose probability reaches this; 1: all
  std::int64_t top_k = 0;  ///< keep this many of the likeliest tokens; 0: all
  double min_p = 0.0;      ///< keep tokens at least this likely relative to the likeliest; 0: all
  double repetition_penalty =
      1.0;  ///< divides positive logits of tokens already seen, multiplies negative ones; 1: off
  std::int64_t max_new_tokens = 4096;
  std::vector<std::string> stop;             ///< text that ends a response; not part of it
  std::vector<std::int64_t> stop_token_ids;  ///< beside the model's own end tokens
  std::uint64_t seed = 0;
};

/// One response to be written. The key of its random numbers is (seed, prompt_id, sample,
/// position).
struct GenerationRequest {
  std::size_t index = 0;  ///< the caller's; given back with the result
  std::string prompt_id;
  Conversation prompt;
  std::int32_t sample = 0;
};

struct GenerationResult {
  std::size_t index = 0;
  std::string response;
  std::string finish_reason;  ///< "stop" or "length"; empty where `error` is set
  std::int32_t num_prompt_tokens = 0;
  std::int32_t num_tokens = 0;       ///< tokens written, the end token included
  std::optional<std::string> error;  ///< why this row has no response
};

/// Called once per request, as they finish, from one thread at a time.
using GeneratedFn = std::function<void(GenerationResult result)>;

/// Writes responses: the embedded engine or a pool of servers.
class Generator {
 public:
  virtual ~Generator() = default;

  /// Answers every request, in any order; a request that cannot be answered carries its error.
  /// Throws when none can go on (every server gone, out of memory).
  virtual void generate(std::span<const GenerationRequest> requests,
                        const SamplingOptions& sampling, const GeneratedFn& on_generated) = 0;
};

}  // namespace charm::generate
