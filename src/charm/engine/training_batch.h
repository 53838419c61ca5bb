#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/layout.h"
#include "charm/engine/token_batch.h"
#include "charm/kernels/attention.h"
#include "charm/kernels/row_panels.h"

namespace charm::engine {

// T packed tokens, S responses.

/// Consecutive rows that are computed together. Their runs are parts of prompts and responses that
/// begin at an even offset, so that weight gradients do not depend on the tiles.
struct RowTile {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  std::vector<kernels::RowRun> runs;  ///< counted from `begin`
};

/// The query rows of a block: every token, or only each response's last one.
struct QueryRows {
  std::vector<kernels::AttentionSequence> sequences;
  std::vector<RowTile> tiles;
  std::int64_t count = 0;
};

/// A packed batch as the training pass reads it.
struct TrainingBatch {
  std::vector<std::int32_t> ids_T;
  std::vector<std::int64_t> last_S;  ///< packed index of each response's last token
  std::vector<RopeTable> ropes;      ///< one per set of frequencies
  QueryRows all, last;

  std::int64_t num_tokens() const { return static_cast<std::int64_t>(ids_T.size()); }
  std::int64_t num_responses() const { return static_cast<std::int64_t>(last_S.size()); }
};

/// With RoPE variants that depend on the sequence length, long sequences share no prompt.
TrainingBatch make_training_batch(const PackedBatch& batch, std::span<RopeAngles> angles);

}  // namespace charm::engine
