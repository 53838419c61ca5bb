#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/score.h"

// An inner join of the rows of two runs, A and B.
namespace charm::evaluate {

/// Rows that both runs have, and those that only one has.
struct Matching {
  std::vector<std::size_t> row_of_b;  ///< [row of A that B has]
  std::vector<std::size_t> only_a, only_b;

  bool is_complete() const { return only_a.empty() && only_b.empty(); }
};

/// Keys are distinct within a run.
Matching match(const std::vector<std::string>& keys_a, const std::vector<std::string>& keys_b);

/// "12 only in A (first: ...), 3 only in B (first: ...)".
/// @param name_a  of a row of A, for people
std::string difference_text(const Matching& matching,
                            const std::function<std::string(std::size_t)>& name_a,
                            const std::function<std::string(std::size_t)>& name_b);

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
