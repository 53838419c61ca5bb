#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "charm/kernels/attention.h"

// Inputs of variable-length attention operators (cu_seqlens, gather indices). Planned on the host
// for any device.
namespace charm::torch {

// S sequences, R query rows and L keys of each (padded), G key rows, N query rows.

/// Consecutive query rows and the keys of their sequence in order of position: row i of R attends
/// to all but the last R-1-i of them (before windowing), as the last R tokens of a sequence do.
struct VarlenSequence {
  std::int64_t query_begin = 0;
  std::int64_t query_length = 0;
  std::vector<kernels::KeySpan> keys;  ///< rows of the K/V tensor

  std::int64_t num_keys() const;
};

/// Consecutive sequences for one call of a varlen operator (flash-attn's flash_attn_varlen_func).
struct VarlenPart {
  std::int64_t query_begin = 0;
  std::int64_t query_rows = 0;
  std::int64_t max_query = 0;  ///< max_seqlen_q
  std::int64_t max_keys = 0;   ///< max_seqlen_k
  at::Tensor cu_seqlens_q_S;   ///< int32 [S + 1], counted from `query_begin`
  at::Tensor cu_seqlens_k_S;   ///< int32 [S + 1], counted in `key_rows_G`
  at::Tensor key_rows_G;       ///< int64: rows of the K/V tensor, sequence by sequence
};

/// Splits the sequences, in order, into parts of at most `max_key_rows` gathered keys; a longer
/// sequence is a part of its own. The sequences' query rows must be contiguous.
std::vector<VarlenPart> plan_varlen(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_key_rows, const at::Device& device);

/// Sequences padded to one length, for batched matmul. Padding repeats rows; its results are
/// dropped.
struct PaddedPart {
  std::int64_t num_sequences = 0, query_length = 0, num_keys = 0;  ///< S, R, L
  at::Tensor query_rows;                                           ///< int64 [S * R]
  at::Tensor key_rows;                                             ///< int64 [S * L]
  at::Tensor num_visible_SR;  ///< int64 [S, R]: number of leading keys that row r attends to
                              ///< (before windowing)
  at::Tensor padded_rows_N;   ///< int64: the non-padding rows among the S * R results
  at::Tensor out_rows_N;      ///< int64: the query row of each
};

/// Batches sequences of similar size so that S * R * L is at most `max_area` and rarely above twice
/// the unpadded size; longer ones are split between query rows.
std::vector<PaddedPart> plan_padded(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_area, const at::Device& device);

}  // namespace charm::torch
