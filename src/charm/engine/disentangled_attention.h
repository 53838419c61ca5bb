#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/encoder_config.h"
#include "charm/engine/tensor.h"

namespace charm::engine {

// T tokens of all sequences, L tokens of one, H heads, E head width, R rows of the table of
// relative positions.

/// Row of the table for the relative position `distance` = query's - key's: the position itself up
/// to half of the buckets, beyond that a bucket of its logarithm, then clamped to the table.
/// Source: transformers 5.17, make_log_bucket_position.
std::int64_t relative_row(std::int64_t distance, const RelativeAttention& config);

/// The keys and queries of the table's rows in one block, float32 [R, H*E]; undefined: no such
/// term.
struct PositionTables {
  Tensor keys_RHE, queries_RHE;
};

/// Attention of every token to all tokens of its sequence. Scores and softmax are float32 whatever
/// the type of q, k and v. A sequence's result depends on its tokens alone, bit for bit.
///
/// @param q_THE, k_THE, v_THE  float32 or bfloat16
/// @param starts_S             [S + 1]: sequence s owns tokens starts_S[s] .. starts_S[s + 1]
/// @return                     [T, H*E] in the type of q
Tensor disentangled_attention(const Tensor& q_THE, const Tensor& k_THE, const Tensor& v_THE,
                              std::span<const std::int64_t> starts_S, std::int64_t heads,
                              const PositionTables& tables, const RelativeAttention& config);

}  // namespace charm::engine
