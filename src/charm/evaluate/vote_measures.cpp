#include "charm/evaluate/vote_measures.h"

#include <algorithm>

#include "charm/evaluate/pair_diagnostics.h"

namespace charm::evaluate {
namespace {

double softplus_of(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

// Sums of one bin of confidence.
struct BinSums {
  double weight = 0.0, confidence = 0.0, right = 0.0;
};

}  // namespace

std::array<double, kVoteMeasures> vote_measures(std::span<const PredictedVote> votes,
                                                std::span<const double> weights) {
  double total = 0.0, decided = 0.0, right = 0.0, log_loss = 0.0, brier = 0.0;
  std::array<BinSums, kConfidenceBins> bins{};
  for (std::size_t v = 0; v < votes.size(); ++v) {
    const double weight = weights[v];
    if (weight == 0.0) continue;
    const PredictedVote& vote = votes[v];
    const double p = vote.probability();
    total += weight;
    log_loss += weight * (softplus_of(vote.log_odds) - vote.outcome * vote.log_odds);
    brier += weight * (p - vote.outcome) * (p - vote.outcome);
    if (!vote.is_decided()) continue;
    const double is_right = vote.correctness();
    decided += weight;
    right += weight * is_right;
    const double confidence = std::max(p, 1.0 - p);
    const double scaled = (confidence - 0.5) * 2.0 * static_cast<double>(kConfidenceBins);
    BinSums& bin = bins[std::min(kConfidenceBins - 1, static_cast<std::size_t>(scaled))];
    bin.weight += weight;
    bin.confidence += weight * confidence;
    bin.right += weight * is_right;
  }
  double ece = 0.0;
  for (const BinSums& bin : bins) ece += std::abs(bin.right - bin.confidence);
  return {right / decided, log_loss / total, brier / total, ece / decided};
}

}  // namespace charm::evaluate
