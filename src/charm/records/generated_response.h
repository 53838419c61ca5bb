#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "charm/records/records.h"

namespace charm {

/// A response as its generator leaves it.
struct GeneratedResponse {
  Response response;
  std::optional<std::int32_t> num_prompt_tokens;  ///< of the templated prompt
  std::optional<std::string> error;  ///< why there is no response; the text is then empty
};

/// How responses were drawn; what a generator leaves to a server's own defaults is empty.
struct SamplingSettings {
  double temperature = 0.0;
  double top_p = 1.0;
  std::optional<std::int32_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::int32_t max_new_tokens = 0;
};

}  // namespace charm
