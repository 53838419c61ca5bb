#include "charm/stats/comparisons.h"

#include <algorithm>

namespace charm::stats {

Winner winner_of(double policy, double against) {
  return policy > against ? Winner::kPolicy : policy < against ? Winner::kAgainst : Winner::kTie;
}

std::vector<Comparison> compare(const PairedScores& scores, std::size_t policy, std::size_t against,
                                const PairOffsets& offsets) {
  const PairRows rows = scores.pair(policy, against);
  std::vector<Comparison> comparisons(rows.over.size());
  for (std::size_t r = 0; r < comparisons.size(); ++r) {
    const PairedScores::Key& key = scores.key(rows.key[r]);
    comparisons[r] = {
        .prompt_id = key.prompt_id,
        .sample = key.sample,
        .score_policy = rows.over[r],
        .score_against = rows.ref[r],
        .before = winner_of(rows.over[r], rows.ref[r]),
        .after = winner_of(rows.over[r] + offsets.policy, rows.ref[r] + offsets.against)};
  }
  return comparisons;
}

void sort_comparisons(std::vector<Comparison>& comparisons, ComparisonOrder order,
                      bool is_over_valued) {
  const double direction = is_over_valued ? 1.0 : -1.0;
  std::stable_sort(comparisons.begin(), comparisons.end(),
                   [&](const Comparison& a, const Comparison& b) {
                     if (order == ComparisonOrder::kFlips && a.flips() != b.flips())
                       return a.flips();
                     return direction * a.margin() > direction * b.margin();
                   });
}

}  // namespace charm::stats
