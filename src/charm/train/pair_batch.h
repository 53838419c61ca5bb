#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/batch/token_batch.h"
#include "charm/train/loss.h"

namespace charm::train {

/// A preference pair as tokens. Each side is a whole sequence that ends with its pooled token.
struct EncodedPair {
  std::string prompt_id;
  std::vector<std::int32_t> chosen;    ///< at least one token
  std::vector<std::int32_t> rejected;  ///< at least one token
  float margin = 0.0f;                 ///< the margin column, score units; 0 where absent
};

/// Pairs that go through the model together.
struct PairBatch {
  batch::PackedBatch packed;  ///< S different responses
  PairRows pairs;             ///< where the sides of each pair lie among them
};

/// Packs pairs, in order, into batches of at most `budget_tokens`. What sequences begin with stands
/// there once, and so does a response that occurs in several neighbouring pairs of one prompt: all
/// pairs of K responses cost K responses, not K (K - 1) (as Ouyang et al. 2022, arXiv 2203.02155,
/// section 3.5). Neighbouring pairs of one prompt that are larger than the budget together, up to
/// four times, are a batch of their own; beyond that they are packed one by one. A pair larger than
/// the budget is a batch of its own.
/// @param order  numbers of the pairs to take
std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens);

}  // namespace charm::train
