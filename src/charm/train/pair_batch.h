#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/batch/token_batch.h"

namespace charm::train {

/// A preference pair as tokens: what both sides begin with, and how each goes on. Each side ends
/// with its pooled token.
struct EncodedPair {
  std::string prompt_id;
  std::vector<std::int32_t>
      shared;  ///< longest common beginning, short enough that both sides keep a token of their own
  std::vector<std::int32_t> chosen;    ///< behind `shared`; at least one token
  std::vector<std::int32_t> rejected;  ///< behind `shared`; at least one token
  float margin = 0.0f;                 ///< the margin column, score units; 0 where absent

  std::int64_t num_tokens() const {
    return static_cast<std::int64_t>(shared.size() + chosen.size() + rejected.size());
  }
};

/// Splits two whole sequences into a pair. Neither may be empty.
EncodedPair make_pair(std::string prompt_id, const std::vector<std::int32_t>& chosen,
                      const std::vector<std::int32_t>& rejected, float margin);

/// Pairs that go through the model together.
struct PairBatch {
  batch::PackedBatch packed;   ///< responses alternate: chosen, rejected
  std::vector<float> margins;  ///< one per pair
};

/// Packs whole pairs, in order, into batches of at most `budget_tokens`; a pair larger than the
/// budget is a batch of its own.
/// @param order  numbers of the pairs to take
std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens);

}  // namespace charm::train
