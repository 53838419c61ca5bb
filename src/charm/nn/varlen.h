#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "charm/kernels/attention.h"

// Which query rows see which keys, as operators that take many sequences at once want to be told.
// Computed on the host for any device.
namespace charm::nn {

// S sequences, R query rows and L keys of each (padded), G key rows, N query rows.

/// Query rows that follow each other, and the keys of their sequence in order of positions: row i
/// of R sees all but the last R-1-i of them (a window aside), as the last R tokens of a text see
/// it.
struct VarlenSequence {
  std::int64_t query_begin = 0;
  std::int64_t query_length = 0;
  std::vector<kernels::KeySpan> keys;  ///< rows of the keys' tensor

  std::int64_t num_keys() const;
};

/// Sequences whose rows follow each other, for an operator that takes the sequences' starts.
struct VarlenPart {
  std::int64_t query_begin = 0;
  std::int64_t query_rows = 0;
  std::int64_t max_query = 0;  ///< longest sequence's query rows
  std::int64_t max_keys = 0;   ///< longest sequence's keys
  at::Tensor query_starts_S;   ///< int32 [S + 1], counted from `query_begin`
  at::Tensor key_starts_S;     ///< int32 [S + 1], counted in `key_rows_G`
  at::Tensor key_rows_G;       ///< int64: rows of the keys' tensor, sequence after sequence
};

/// Cuts the sequences, in order, into parts of at most `max_key_rows` gathered keys; a longer
/// sequence is a part of its own. Together the sequences' query rows must be a stretch without
/// gaps.
std::vector<VarlenPart> plan_varlen(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_key_rows, const at::Device& device);

/// Sequences padded to one length, for products of equal matrices. Padding repeats rows; its
/// results are thrown away.
struct PaddedPart {
  std::int64_t num_sequences = 0, query_length = 0, num_keys = 0;  ///< S, R, L
  at::Tensor query_rows;                                           ///< int64 [S * R]
  at::Tensor key_rows;                                             ///< int64 [S * L]
  at::Tensor num_visible_SR;  ///< int64 [S, R]: row r sees its sequence's first keys up to this
                              ///< many (a window aside)
  at::Tensor places_N;        ///< int64: the real ones among the S * R results
  at::Tensor out_rows_N;      ///< int64: the query row of each
};

/// Groups sequences of similar size so that S * R * L is at most `max_area` and seldom above twice
/// what the sequences need; longer ones are cut between query rows.
std::vector<PaddedPart> plan_padded(std::span<const VarlenSequence> sequences,
                                    std::int64_t max_area, const at::Device& device);

}  // namespace charm::nn
