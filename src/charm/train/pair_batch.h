#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/engine/token_batch.h"
#include "charm/train/loss.h"

namespace charm::train {

/// A tokenised preference pair. Each side is a full sequence that ends with its pooled token.
struct EncodedPair {
  std::string prompt_id;
  std::vector<std::int32_t> chosen;    ///< at least one token
  std::vector<std::int32_t> rejected;  ///< at least one token
  float margin = 0.0f;                 ///< the margin column, score units; 0 where absent
};

/// One batch of pairs.
struct PairBatch {
  engine::PackedBatch packed;  ///< S distinct responses
  PairRows pairs;              ///< indices of each pair's sides among them
};

/// Packs pairs, in order, into batches of at most `budget_tokens`. Common prefixes are packed once,
/// and so is a response that occurs in several consecutive pairs of one prompt: all pairs of K
/// responses cost K responses, not K (K - 1) (as Ouyang et al. 2022, arXiv 2203.02155, section
/// 3.5). A pair larger than the budget is a batch of its own.
/// @param order          indices of the pairs
/// @param prompt_tokens  consecutive pairs of one prompt are a batch of their own up to this many,
///                       or their responses would be computed once per batch; beyond that they are
///                       packed one by one. 0: four budgets
std::vector<PairBatch> pack_pairs(std::span<const EncodedPair> pairs,
                                  std::span<const std::size_t> order, std::int64_t budget_tokens,
                                  std::int64_t prompt_tokens = 0);

}  // namespace charm::train
