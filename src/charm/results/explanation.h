#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/results/calibration.h"
#include "charm/results/evaluation.h"
#include "charm/results/pair.h"

namespace charm::results {

/// Effect of one feature on a pair's score difference.
struct FeatureEffect {
  std::string feature;
  Estimate coefficient;          ///< score units per unit of the feature
  double mean_difference = 0.0;  ///< of the feature, policy - reference
  Estimate contribution;         ///< coefficient times mean difference, score units
  std::optional<double>
      share_of_gap;  ///< contribution / score gap, where the gap's interval excludes 0
  std::optional<double>
      share_of_offset;  ///< contribution / (-offset), where the offset's interval excludes 0
};

/// A feature left out of a regression.
struct DroppedFeature {
  std::string name;
  std::string reason;
};

/// Win rate and MD on prompts weighted so that both policies' responses have equal mean features.
struct MatchedMismatch {
  std::vector<std::string> features;  ///< balanced features
  double effective_rows = 0.0;        ///< effective sample size (Kish)
  Estimate win_rate;
  Estimate mismatch;
};

struct PairExplanation {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::int64_t num_rows = 0;
  Estimate score_gap;  ///< mean score difference, policy - reference
  std::optional<Estimate>
      offset;  ///< offset of the policy - offset of the reference, where calibrated
  std::vector<FeatureEffect> effects;
  std::vector<DroppedFeature> dropped;
  Estimate explained;    ///< sum of all contributions
  Estimate unexplained;  ///< the intercept: mean difference at equal features
  double r_squared = 0.0;

  // With ratings only.
  std::optional<double> target_win_rate;
  std::optional<Estimate> win_rate;
  std::optional<Estimate> mismatch;
  std::optional<MatchedMismatch> length_matched;
  std::optional<MatchedMismatch> style_matched;
};

/// Regression of score on features over all rows with prompt and policy fixed effects.
struct PooledEffects {
  std::vector<FeatureEffect> effects;  ///< coefficients only
  std::vector<DroppedFeature> dropped;
  std::int64_t num_rows = 0;
  std::int64_t num_prompts = 0;
};

/// Mean |MD| and correlation with the ratings under one method on one set of prompts.
struct MethodCheck {
  std::int64_t num_prompts = 0;
  Estimate mean_abs_mismatch;      ///< over all ordered pairs
  std::optional<Estimate> change;  ///< against uncorrected scores, paired on the same replicates
  double sampling_noise = 0.0;     ///< mean |MD| expected under sampling noise alone
  std::optional<Correlations> mean_score;  ///< with the ratings; three or more policies
  std::optional<Correlations> win_rate;    ///< of win rates against all others
};

/// A post-hoc correction of scores.
struct Method {
  std::string name;     ///< "none", "offsets", "lowess", "style", "style-offsets"
  std::string meaning;  ///< one sentence
  std::vector<std::pair<std::string, double>> offsets;  ///< by policy; empty: none
  MethodCheck fit;                                      ///< on the prompts of the fit
  std::optional<MethodCheck> held_out;
  /// On the saved scores of a benchmark, the numbers alone. Empty without saved scores and for
  /// methods with offsets: a benchmark's texts have no policy, so offsets do not apply.
  std::optional<Evaluation> reward_bench;
  std::optional<Evaluation> rm_bench;
};

/// explain.json of `charm explain`.
struct Explanation {
  static constexpr int kVersion = 1;

  std::string reference;  ///< empty if all pairs are compared without a calibration
  TieRule ties = TieRule::kLoss;
  std::int64_t bootstrap = 0;
  std::uint64_t seed = 0;
  std::int64_t min_differing = 0;
  std::int64_t num_prompts = 0;
  std::vector<std::pair<std::string, std::string>> features;  ///< name, meaning
  std::vector<PairExplanation> pairs;
  std::optional<PooledEffects> pooled;  ///< with a calibration
  std::vector<Method> methods;          ///< with a calibration
  std::vector<std::string> warnings;
};

/// Keys in reading order. `inputs`: the input files, as the stage records them.
nlohmann::ordered_json to_json(const Explanation& explanation,
                               const nlohmann::ordered_json& inputs);

/// Throws kInput naming the file and the member for a file that `charm explain` has not written.
Explanation read_explanation(const nlohmann::ordered_json& json, const std::string& file);
Explanation read_explanation(const std::filesystem::path& path);

}  // namespace charm::results
