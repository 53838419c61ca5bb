#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/arena.h"
#include "charm/stats/comparison_fit.h"
#include "charm/stats/vote_table.h"

namespace charm::calibrate {

/// Votes that are not independent of each other.
enum class VoteCluster {
  kPrompt,  ///< on the same prompt
  kJudge,   ///< of the same judge
};
std::string_view vote_cluster_name(VoteCluster cluster);

/// How intervals are computed.
enum class IntervalKind {
  kSandwich,   ///< cluster-robust covariance, delta method
  kBootstrap,  ///< clusters resampled, percentiles
};
std::string_view interval_name(IntervalKind kind);

struct VoteFitOptions {
  stats::TieModel ties = stats::TieModel::kHalf;  ///< kHalf or kDavidson
  StyleControl style = StyleControl::kNone;       ///< definition of the table's features
  VoteCluster cluster = VoteCluster::kPrompt;
  IntervalKind interval = IntervalKind::kSandwich;
  std::int64_t bootstrap = 1000;  ///< replicates of kBootstrap
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
  std::int64_t min_clusters = 30;  ///< fewer are an error: intervals would be meaningless
};

/// The offsets, with their intervals and standard errors, and what else the fit has found.
struct VoteSolution {
  std::vector<Estimate> offsets;   ///< [policy of the table] score units, 0 for the reference
  std::vector<double> offset_ses;  ///< [policy]
  std::vector<double> expected;    ///< [row of the table] modelled P(a) + P(tie) / 2
  VoteFit fit;
  std::vector<std::string> warnings;
};

/// Maximum likelihood of votes on pairs of responses, by Newton's method in float64:
///     P(a over b) = sigmoid((score_a - score_b + offset_a - offset_b) / T + style . x)
/// fitted as b (score_a - score_b) + g_a - g_b + style . x with T = 1 / b, offset = g / b, in which
/// the likelihood is concave. x: differences of style features, not centred, so that swapping the
/// responses mirrors the probability. Ties as half votes or by Davidson's model. Sandwich intervals
/// are those of statsmodels' cluster-robust covariance with the delta method for T and offsets.
/// @param prior  ratings of the table's policies as a prior (rating_prior.h); empty: none
/// Throws kInput where the votes determine no offsets: policies that won or lost every vote (unless
/// there is a prior), disconnected policies, scores that do not predict the votes.
VoteSolution fit_votes(const stats::VoteTable& table, std::size_t reference,
                       std::span<const ArenaRating> prior, const VoteFitOptions& options,
                       const ProgressFn& progress = {});

}  // namespace charm::calibrate
