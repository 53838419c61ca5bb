#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/kv_cache.h"
#include "charm/engine/rope.h"
#include "charm/engine/token_batch.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {

// T packed tokens, S responses.

/// Rows that a block outputs.
enum class BlockRows {
  kAll,   ///< every packed token
  kLast,  ///< only each response's last token; K and V of all tokens are still computed
};

/// A packed batch as input of the blocks: the sequences' segments and RoPE tables. Segments index
/// the batch's tokens. The first `num_computed_tokens` of them have their K and V in the prefix
/// cache and are not computed again: ids, RoPE tables and `last_S` begin with token
/// `num_computed_tokens`.
struct BatchLayout {
  std::vector<std::int32_t> ids_T;
  std::vector<RopeTable> ropes;      ///< one per set of frequencies; blocks hold an index
  std::vector<std::int64_t> last_S;  ///< packed index of each response's last token, or of the last
                                     ///< token of each sequence that wants logits
  std::vector<Segment> prompts;      ///< without cached ones
  std::vector<Segment> responses;
  std::int64_t num_computed_tokens = 0;
  std::vector<std::int32_t> prefix_to_cache;  ///< ids of the last prompt where the next batch
                                              ///< begins with it, otherwise empty
  std::int64_t prefix_to_cache_begin = 0;     ///< its first packed token
  std::vector<std::int64_t>
      gate_of_S;  ///< for heads with a gating network: index of each response's
                  ///< gate token among the last rows, after the responses
  /// Prefill and decode: the sequences' K and V are read from and written to this KV cache; prompts
  /// and responses are empty. Null when scoring.
  KvCache* cache = nullptr;
  std::vector<kernels::PagedSequence> cached;  ///< every sequence's rows
  std::vector<kernels::PagedSequence>
      cached_last;  ///< the last tokens that want logits, rows as in `last_S`

  std::int64_t num_tokens() const { return static_cast<std::int64_t>(ids_T.size()); }
};

/// Builds the layout with one RoPE table per element of `angles`. With RoPE variants that depend on
/// the sequence length, long sequences share no prompt, and no token counts as computed.
/// @param num_computed_tokens  leading tokens in the prefix cache: the first prompt's, or 0
BatchLayout make_layout(const PackedBatch& batch, std::span<RopeAngles> angles,
                        std::int64_t num_computed_tokens = 0);

/// The same for prefill chunks and decode tokens over a KV cache.
BatchLayout make_cached_layout(const CachedBatch& batch, KvCache& cache,
                               std::span<RopeAngles> angles);

/// Query rows in output order: all computed tokens of prompts and responses, or the responses' last
/// tokens.
std::vector<kernels::AttentionSequence> attention_sequences(const BatchLayout& layout,
                                                            BlockRows rows);

/// Consecutive rows that the training pass computes together. Their runs are parts of prompts and
/// responses that begin at an even offset, so that weight gradients do not depend on the tiles.
struct RowTile {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  std::vector<kernels::RowRun> runs;  ///< counted from `begin`
};

/// The query rows of a block in training.
struct QueryRows {
  std::vector<kernels::AttentionSequence> sequences;
  std::vector<RowTile> tiles;
  std::int64_t count = 0;
};

/// A batch as the training pass reads it.
struct TrainingBatch : BatchLayout {
  QueryRows all, last;

  std::int64_t num_responses() const { return static_cast<std::int64_t>(last_S.size()); }
};

TrainingBatch make_training_batch(const PackedBatch& batch, std::span<RopeAngles> angles);

}  // namespace charm::engine
