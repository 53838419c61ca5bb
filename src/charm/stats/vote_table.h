#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/records/vote.h"
#include "charm/stats/comparison_fit.h"

namespace charm::stats {

/// A vote with policies, prompt and judge as indices.
struct VoteRow {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  double outcome = 0.5;  ///< 1: a won, 0: b won, 0.5: a tie
  double score_a = 0.0;
  double score_b = 0.0;
  std::uint32_t prompt = 0;
  std::uint32_t judge = 0;
  std::int32_t turn = 0;  ///< of the judged response; 0: not named
};

struct VoteTableOptions {
  StyleControl style = StyleControl::kNone;  ///< other than kNone: votes have style counts
  std::vector<std::string> policies;         ///< only votes between these; empty: all
};

/// The votes of one or more files. Immutable once built; safe to read from many threads.
struct VoteTable {
  std::vector<std::string> policies;  ///< by name
  std::vector<VoteRow> rows;
  std::vector<std::array<double, kNumStyles>> styles;  ///< [row] a against b; empty without
  std::size_t num_prompts = 0;
  std::size_t num_judges = 0;       ///< named ones
  bool has_judges = false;          ///< every vote names its judge
  std::int64_t num_errors = 0;      ///< rows that carry an error instead of a score; dropped
  std::int64_t num_others = 0;      ///< votes with a policy that was not asked for; dropped
  std::int64_t num_duplicates = 0;  ///< votes of the same judge on the same responses as before

  /// Throws kInput for no votes at all, names that differ only in case; kUsage for a requested
  /// policy without a vote.
  VoteTable(std::span<const ScoredVote> votes, const VoteTableOptions& options);

  /// Dropped rows and repeated votes.
  std::vector<std::string> warnings() const;
  std::vector<std::uint32_t> prompt_of_row() const;
  std::vector<std::uint32_t> judge_of_row() const;
};

/// Whether a vote's prompt is held out: whether a hash of prompt_id and seed falls into the share.
/// A larger share is a superset of a smaller one.
bool is_held_out(const Vote& vote, std::uint64_t seed, double share);

/// Whether the rows of positive weight leave every policy's strength finite: one strongly connected
/// component of winner -> loser.
bool has_finite_ratings(std::size_t num_policies, std::span<const VoteRow> rows,
                        std::span<const double> weights);

/// People's Bradley-Terry ratings of the policies (ties half; 400 Elo points a factor of ten in the
/// odds, mean 1000) with sandwich intervals clustered by prompt. NaN without intervals where the
/// votes leave a rating infinite or the policies disconnected.
std::vector<ArenaRating> vote_ratings(const VoteTable& table);

}  // namespace charm::stats
