#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/calibration.h"
#include "charm/results/pair.h"
#include "charm/stats/outcomes.h"
#include "charm/stats/paired_scores.h"

// Win rates and mismatch degrees of all pairs of policies, at any offsets and prompt weights.
namespace charm::stats {

/// One unordered pair of policies of a table of scores.
struct PolicyPair {
  std::size_t over = 0;
  std::size_t ref = 0;
  double weight = 1.0;  ///< in a joint fit; the weights of all pairs add up to 1
  double target = 0.0;  ///< win rate of `over` that the ratings imply
  PairRows rows;
};

/// Every pair of the table, by its first policy, then its second; `reference` is on the `ref` side
/// of its pairs. `ratings` in the order of the table's policies.
std::vector<PolicyPair> policy_pairs(const PairedScores& scores,
                                     std::span<const ArenaRating> ratings,
                                     std::optional<std::size_t> reference = std::nullopt);

/// Outcomes of pairs with one offset per policy. Keeps a reference to the pairs, which must outlive
/// it. Immutable; safe to read from many threads.
class PairTable {
 public:
  /// @param offsets  [policy] added to the scores; empty: none
  explicit PairTable(std::span<const PolicyPair> pairs, std::span<const double> offsets = {});

  /// [pair] of `over` against `ref`.
  std::vector<WinCount> counts() const;
  /// The same with every row weighted by its prompt.
  std::vector<WinCount> counts(std::span<const std::uint32_t> prompt_weights) const;
  const Outcomes& outcomes(std::size_t pair) const { return outcomes_[pair]; }

 private:
  std::span<const PolicyPair> pairs_;
  std::vector<Outcomes> outcomes_;
};

/// A pair in one of its orders; `is_mirrored`: `ref` against `over`.
struct OrderedPair {
  const PolicyPair& pair;
  bool is_mirrored = false;

  std::size_t policy() const { return is_mirrored ? pair.ref : pair.over; }
  std::size_t reference() const { return is_mirrored ? pair.over : pair.ref; }
  WinCount oriented(const WinCount& count) const { return is_mirrored ? count.mirrored() : count; }

  /// Names, counts, target, and the rates of `count`, which is that of the unordered pair.
  results::Pair result(std::span<const std::string> names, std::span<const ArenaRating> ratings,
                       const WinCount& count, TieRule ties) const;
};

results::PairRates pair_rates(const WinCount& count, double target, TieRule ties);

/// Bootstrap replicates of the rates of one ordered pair.
struct RateReplicates {
  std::vector<double> win_rates;
  std::vector<double> mismatches;

  void add(const WinCount& count, double target, TieRule ties);
  /// Sets the intervals; none without replicates.
  void set_intervals(results::PairRates& rates) const;
};

/// Statistics of one bootstrap replicate: prompts resampled, ratings drawn from their intervals.
struct PairReplicate {
  std::vector<double> ratings;   ///< [policy] Elo points
  std::vector<WinCount> before;  ///< [pair]
  std::vector<WinCount> after;   ///< [pair], at the offsets found, not at those of the replicate
  /// [policy], refitted; empty where there is no solution, or nothing to fit. Where a whole plateau
  /// is optimal, a uniform draw from it: plateaus of coarse scores are not small compared with an
  /// interval, and their midpoints alone would make it too narrow.
  std::optional<std::vector<double>> offsets;
};

/// What `ordered_results` computes results from.
struct PairStatistics {
  std::span<const PolicyPair> pairs;
  std::span<const std::string> names;    ///< [policy]
  std::span<const ArenaRating> ratings;  ///< [policy]
  const PairTable& before;
  const PairTable* after = nullptr;  ///< at offsets; nullptr: none
  std::span<const PairReplicate> replicates;
  TieRule ties = TieRule::kLoss;
};

/// The results of all ordered pairs, by policy, then reference; no intervals without replicates.
/// @param add  called for every result with its pair's index, to add what else a stage reports
std::vector<results::Pair> ordered_results(
    const PairStatistics& statistics,
    const std::function<void(const OrderedPair&, std::size_t pair, results::Pair&)>& add);

/// |MD| of a pair in both orders.
struct AbsMismatch {
  double forward = 0.0;
  double mirrored = 0.0;
  double mean() const { return 0.5 * (forward + mirrored); }
};

/// `target` of the pair; that of the mirrored pair is 1 - target.
AbsMismatch abs_mismatch(double win_rate, double mirrored_win_rate, double target);
AbsMismatch abs_mismatch(const WinCount& count, double target, TieRule ties);

/// Mean |MD| over ordered pairs; `after` counts only pairs with calibrated rates.
results::MeanMismatch mean_mismatch(std::span<const results::Pair> pairs,
                                    std::span<const results::Pair> other_pairs = {});

}  // namespace charm::stats
