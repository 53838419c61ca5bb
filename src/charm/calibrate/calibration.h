#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/solve_options.h"
#include "charm/records/arena.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"
#include "charm/stats/paired_scores.h"

namespace charm::calibrate {

struct CalibratedPolicy {
  std::string policy;
  ArenaRating rating;
  double offset = 0.0;  ///< score units, added to the policy's scores; 0 for the reference
  std::optional<double> offset_se;
  std::optional<stats::Interval> offset_ci95;
  std::optional<stats::Interval>
      offset_interval;  ///< the plateau (lo, hi]; same-prompt only, not for the reference
  std::optional<double> offset_unshrunk;  ///< with `shrink`: the offset before shrinkage
  std::optional<double> shrinkage;        ///< with `shrink`: offset / offset_unshrunk, in [0, 1]
};

/// One ordered pair; MD and win rates on same-prompt rows, whatever the mode.
struct CalibratedPair {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  double target_win_rate = 0.0;
  double win_rate_before = 0.0;
  double win_rate_after = 0.0;
  double mismatch_before = 0.0;
  double mismatch_after = 0.0;
  std::int64_t ties_before = 0;
  std::int64_t ties_after = 0;
  double residual = 0.0;  ///< win rate - target after calibration, in the mode's own win rate
  std::optional<double> leverage;  ///< regression leverage in [0, 1]; three or more policies only
  std::optional<double>
      influence;  ///< largest change of any offset, score units, when the pair is dropped from the
                  ///< fit (linearised); three or more policies only
  std::int64_t missing_policy = 0;
  std::int64_t missing_reference = 0;
  std::optional<stats::Interval> target_ci95;
  std::optional<stats::Interval> win_rate_before_ci95;
  std::optional<stats::Interval> win_rate_after_ci95;  ///< the offsets held fixed
  std::optional<stats::Interval> mismatch_before_ci95;
  std::optional<stats::Interval> mismatch_after_ci95;  ///< the offsets held fixed
};

/// Mean of |MD| over ordered pairs.
struct MeanMismatch {
  double before = 0.0;
  double after = 0.0;
  double sampling_noise = 0.0;  ///< expected value under sampling noise alone, i.e. if all true win
                                ///< rates equalled their targets
};

MeanMismatch mean_mismatch(std::span<const CalibratedPair> pairs,
                           std::span<const CalibratedPair> other_pairs);

/// Evaluation of the offsets on held-out prompts.
struct HeldOut {
  double share = 0.0;  ///< of the prompts; 0: the held-out prompts came as separate files
  std::int64_t num_prompts = 0;
  std::vector<CalibratedPair> pairs;  ///< `residual`: same-prompt win rate - target
  std::vector<CalibratedPair> other_pairs;
};

/// Mean |MD| between one policy and all others, over both directions of every pair.
struct HeldOutPolicyCheck {
  std::int64_t num_prompts = 0;
  double before = 0.0;    ///< without offsets
  double after = 0.0;     ///< the others at the offsets of the fit without it, itself without one
  double with_all = 0.0;  ///< all at the offsets of the joint fit
  std::optional<stats::Interval> change_ci95;  ///< of after - before, the offsets held fixed
};

/// Leave-one-out result of one policy: the effect of the other policies' offsets on it.
struct HeldOutPolicy {
  std::string policy;
  double largest_offset_change = 0.0;  ///< of any other policy against the joint fit, score units
  HeldOutPolicyCheck fit;
  std::optional<HeldOutPolicyCheck> held_out;
};

struct Calibration {
  SolveOptions options;
  std::string reference;
  std::int64_t num_prompts = 0;             ///< distinct prompts over all policies
  std::vector<CalibratedPolicy> policies;   ///< in the table's order
  std::vector<CalibratedPair> pairs;        ///< every other policy over the reference
  std::vector<CalibratedPair> other_pairs;  ///< the remaining ordered pairs
  std::optional<HeldOut> held_out;
  std::optional<double>
      prior_sd;  ///< with `shrink`: estimated standard deviation of the true offsets
  std::vector<HeldOutPolicy> held_out_policies;  ///< by `leave_one_out`
  std::vector<std::string> warnings;
};

/// The pure part of `calibrate`: `ratings` in the order of the table's policies. Two policies: the
/// exact offset of the pair. More: weighted least squares over all pairs with the reference at 0.
/// Throws kInput where there is no solution.
Calibration solve(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                  std::size_t reference, const SolveOptions& options,
                  const ProgressFn& progress = {});

/// Win rates and MD of the calibrated policies at their offsets, on held-out prompts. `scores` and
/// `ratings` as in `solve`; the same policies.
HeldOut check_held_out(const Calibration& calibration, const stats::PairedScores& scores,
                       std::span<const ArenaRating> ratings);

/// Leave-one-out cross-validation: refits without each policy but the reference and fills
/// `calibration.held_out_policies`: how much the others' offsets change the mismatch of a policy
/// without one. `held_out`: scores of held-out prompts, with the same policies, or nullptr. Throws
/// kUsage for fewer than three policies.
void leave_one_out(Calibration& calibration, const stats::PairedScores& scores,
                   std::span<const ArenaRating> ratings, const stats::PairedScores* held_out,
                   std::span<const ArenaRating> held_out_ratings, const ProgressFn& progress = {});

/// calibration.json, keys in reading order. `inputs`: the input files, as the stage records them.
nlohmann::ordered_json calibration_json(const Calibration& calibration,
                                        const nlohmann::ordered_json& inputs);

}  // namespace charm::calibrate
