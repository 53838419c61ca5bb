#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/pair.h"
#include "charm/results/solve_options.h"

namespace charm::results {

struct CalibratedPolicy {
  std::string policy;
  ArenaRating rating;
  Estimate offset;  ///< score units, added to the policy's scores; 0 for the reference
  std::optional<double> offset_se;
  std::optional<Interval>
      offset_interval;  ///< the plateau (lo, hi]; same-prompt only, not for the reference
  std::optional<double> offset_unshrunk;  ///< with `shrink`: the offset before shrinkage
  std::optional<double> shrinkage;        ///< with `shrink`: offset / offset_unshrunk, in [0, 1]
};

/// Mean of |MD| over ordered pairs.
struct MeanMismatch {
  double before = 0.0;
  double after = 0.0;
  double sampling_noise = 0.0;  ///< expected value under sampling noise alone, i.e. if all true win
                                ///< rates equalled their targets
};

/// Evaluation of the offsets on held-out prompts.
struct HeldOut {
  double share = 0.0;  ///< of the prompts; 0: the held-out prompts came as separate files
  std::int64_t num_prompts = 0;
  std::optional<MeanMismatch> mean;
  std::vector<Pair> pairs;  ///< `residual`: same-prompt win rate - target
  std::vector<Pair> other_pairs;
};

/// Mean |MD| between one policy and all others, over both directions of every pair.
struct HeldOutPolicyCheck {
  std::int64_t num_prompts = 0;
  double before = 0.0;    ///< without offsets
  double after = 0.0;     ///< the others at the offsets of the fit without it, itself without one
  double with_all = 0.0;  ///< all at the offsets of the joint fit
  std::optional<Interval> change_ci95;  ///< of after - before, the offsets held fixed
};

/// Leave-one-out result of one policy: the effect of the other policies' offsets on it.
struct HeldOutPolicy {
  std::string policy;
  double largest_offset_change = 0.0;  ///< of any other policy against the joint fit, score units
  HeldOutPolicyCheck fit;
  std::optional<HeldOutPolicyCheck> held_out;
};

/// Weight of a style feature in a fit of votes.
struct StyleWeight {
  std::string feature;
  Estimate weight;  ///< log odds per unit of the feature's difference
  double se = 0.0;
  double sd = 0.0;  ///< standard deviation of the feature's difference over the votes
};

/// Beside the offsets, what a fit of votes has found:
///     P(a over b) = sigmoid((score_a - score_b + offset_a - offset_b) / T + style . features)
struct VoteFit {
  std::string ties;      ///< "half" or "davidson"
  std::string cluster;   ///< "prompt" or "judge"
  std::string interval;  ///< "sandwich" or "bootstrap"
  Estimate temperature;  ///< T, score units
  double temperature_se = 0.0;
  std::optional<Estimate> tie_parameter;  ///< nu of Davidson's model
  std::string style;                      ///< "none" or "fastchat": how features are compared
  std::vector<StyleWeight> style_weights;
  std::int64_t num_votes = 0;
  std::int64_t num_ties = 0;
  std::int64_t num_judges = 0;  ///< named ones
  std::int64_t num_clusters = 0;
  double log_loss = 0.0;          ///< mean negative log likelihood of a vote
  bool has_rating_prior = false;  ///< ratings were a prior
  double holdout = 0.0;           ///< share of the prompts that was held out
};

/// calibration.json of `charm calibrate`.
struct Calibration {
  static constexpr int kVersion = 1;

  SolveOptions options;
  std::string reference;
  std::int64_t num_prompts = 0;            ///< distinct prompts over all policies
  std::vector<CalibratedPolicy> policies;  ///< in the table's order
  std::optional<MeanMismatch> mean;
  std::vector<Pair> pairs;        ///< every other policy over the reference
  std::vector<Pair> other_pairs;  ///< the remaining ordered pairs
  std::optional<HeldOut> held_out;
  std::optional<double>
      prior_sd;  ///< with `shrink`: estimated standard deviation of the true offsets
  std::vector<HeldOutPolicy> held_out_policies;  ///< by `leave_one_out`
  std::optional<VoteFit> votes;                  ///< in mode `votes`
  std::vector<std::string> warnings;
};

/// Keys in reading order. `inputs`: the input files, as the stage records them.
nlohmann::ordered_json to_json(const Calibration& calibration,
                               const nlohmann::ordered_json& inputs);

/// Throws kInput naming the file and the member for a file that `charm calibrate` has not written,
/// except a plain map {policy: offset}: its reference is the first policy with offset 0, or empty.
/// Only the reference and the policies' offsets are required.
Calibration read_calibration(const nlohmann::ordered_json& json, const std::string& file);
Calibration read_calibration(const std::filesystem::path& path);

}  // namespace charm::results
