#pragma once

#include <cstdint>
#include <vector>

namespace charm::batch {

/// The next tokens of one sequence whose earlier tokens lie in a cache of keys and values.
struct CachedTokens {
  std::vector<std::int32_t> ids;    ///< at least one
  std::int64_t first_position = 0;  ///< of ids[0]; as many tokens are in the cache already
  /// Tokens of the whole prompt: rope variants that depend on the length use the prompt's for its
  /// tokens, and for later ones the length up to themselves, as a decoder that writes one token at
  /// a time does.
  std::int64_t prompt_length = 0;
  std::vector<std::int32_t>
      blocks;  ///< the cache's blocks of this sequence in order; they reach past the last of `ids`
  bool wants_logits = true;  ///< whether the last token's output is wanted
};

/// One pass of the decoder over a cache: tokens of the sequences one after the other.
struct CachedBatch {
  std::vector<CachedTokens> sequences;
};

}  // namespace charm::batch
