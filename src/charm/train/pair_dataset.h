#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "charm/records/records.h"
#include "charm/text/conversation_encoder.h"
#include "charm/train/pair_batch.h"

namespace charm::train {

struct EncodePairsOptions {
  std::int32_t pad_token_id = -1;  ///< pooling skips it at the right end; -1: none
  std::int64_t vocab_size = 0;     ///< ids must lie below
  bool needs_margin =
      false;  ///< the margin column is part of the loss, so every pair has to have one
  std::int64_t max_bad_rows = 0;  ///< pairs that may fail to encode before it is an error
};

/// Renders, tokenises and cuts the pairs on all processors, in order; pairs that cannot be encoded
/// are left out and counted. `source` names the file in messages.
std::vector<EncodedPair> encode_pairs(std::span<const PreferencePair> pairs,
                                      const text::ConversationEncoder& encoder,
                                      const EncodePairsOptions& options, const std::string& source);

}  // namespace charm::train
