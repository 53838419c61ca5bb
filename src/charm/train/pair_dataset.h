#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "charm/text/conversation_encoder.h"
#include "charm/train/pair_batch.h"

namespace charm {
struct PreferencePair;
}

namespace charm::train {

/// Requirements of the model and the loss; see `encode_pairs`.
struct EncodePairsOptions {
  std::int32_t pad_token_id = -1;  ///< skipped by pooling at the right end; -1: none
  std::int64_t vocab_size = 0;     ///< ids must be below
  /// Length up to which RoPE is the same for all sequences.
  std::int64_t fixed_rope_up_to = std::numeric_limits<std::int64_t>::max();
  bool needs_margin = false;      ///< the loss uses the margin column: every pair needs one
  std::int64_t max_bad_rows = 0;  ///< pairs that may fail to encode before it is an error
};

/// Renders, tokenises and truncates the pairs in parallel, in order. Pairs that fail to encode are
/// skipped with a warning. `source` names the file in messages.
std::vector<EncodedPair> encode_pairs(std::span<const PreferencePair> pairs,
                                      const text::ConversationEncoder& encoder,
                                      const EncodePairsOptions& options, const std::string& source);

}  // namespace charm::train
