#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/records/score.h"

// Joins the rows of two runs, A and B.
namespace charm::evaluate {

/// How messages name the row of this index.
using NameOfRow = std::function<std::string(std::size_t)>;

/// [row of A] the row of B with its key; keys are distinct within a run. Throws kInput where a run
/// has rows that the other has not: "the two runs hold different votes: 12 only in A (first: ...),
/// 3 only in B (first: ...); <advice>".
/// @param what  "votes"
std::vector<std::size_t> match(const std::vector<std::string>& keys_a,
                               const std::vector<std::string>& keys_b, const NameOfRow& name_a,
                               const NameOfRow& name_b, std::string_view what,
                               std::string_view advice);

/// What a response is joined on: policy, prompt and sample.
std::string response_key(const std::string& policy, const std::string& prompt_id,
                         std::int32_t sample);

/// The responses that both runs have a score for, in A's order.
struct CommonScores {
  std::vector<Score> a, b;
  std::int64_t num_excluded = 0;  ///< with an error instead of a score in either run
};

/// Throws kInput where the two runs hold scores of different responses.
CommonScores common_scores(std::span<const Score> a, std::span<const Score> b);

}  // namespace charm::evaluate
