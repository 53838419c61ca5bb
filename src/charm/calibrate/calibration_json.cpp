#include <nlohmann/json.hpp>

#include "charm/calibrate/calibration.h"

namespace charm::calibrate {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const std::optional<stats::Interval>& interval) {
  return interval ? Json::array({interval->lo, interval->hi}) : Json();
}

Json policy_json(const CalibratedPolicy& policy) {
  const bool has_interval = policy.rating.rating_lo && policy.rating.rating_hi;
  return {
      {"policy", policy.policy},
      {"rating", policy.rating.rating_elo},
      {"rating_ci95",
       has_interval ? Json::array({*policy.rating.rating_lo, *policy.rating.rating_hi}) : Json()},
      {"offset", policy.offset},
      {"offset_se", policy.offset_se ? Json(*policy.offset_se) : Json()},
      {"offset_ci95", interval_json(policy.offset_ci95)},
      {"offset_interval", interval_json(policy.offset_interval)},
  };
}

Json pair_json(const CalibratedPair& pair) {
  return {
      {"policy", pair.policy},
      {"reference", pair.reference},
      {"num_prompts", pair.num_prompts},
      {"missing_policy", pair.missing_policy},
      {"missing_reference", pair.missing_reference},
      {"target_win_rate", pair.target_win_rate},
      {"target_win_rate_ci95", interval_json(pair.target_ci95)},
      {"win_rate_before", pair.win_rate_before},
      {"win_rate_before_ci95", interval_json(pair.win_rate_before_ci95)},
      {"win_rate_after", pair.win_rate_after},
      {"win_rate_after_ci95", interval_json(pair.win_rate_after_ci95)},
      {"mismatch_before", pair.mismatch_before},
      {"mismatch_before_ci95", interval_json(pair.mismatch_before_ci95)},
      {"mismatch_after", pair.mismatch_after},
      {"mismatch_after_ci95", interval_json(pair.mismatch_after_ci95)},
      {"ties_before", pair.ties_before},
      {"ties_after", pair.ties_after},
      {"residual", pair.residual},
  };
}

}  // namespace

Json calibration_json(const Calibration& calibration, const Json& inputs) {
  const SolveOptions& options = calibration.options;
  const bool is_smooth = options.mode.kind != ModeKind::kSamePrompt;
  Json json = {
      {"mode", mode_name(options.mode)},
      {"solver", solver_name(options.solver)},
      {"ties", stats::tie_rule_name(options.ties)},
      {"weights", pair_weights_name(options.weights)},
      {"temperature", is_smooth ? Json(options.temperature) : Json()},
      {"bootstrap", options.bootstrap},
      {"seed", options.seed},
      {"reference", calibration.reference},
      {"num_prompts", calibration.num_prompts},
      {"inputs", inputs},
      {"policies", Json::array()},
      {"pairs", Json::array()},
      {"other_pairs", Json::array()},
      {"warnings", calibration.warnings},
  };
  for (const auto& policy : calibration.policies) json["policies"].push_back(policy_json(policy));
  for (const auto& pair : calibration.pairs) json["pairs"].push_back(pair_json(pair));
  for (const auto& pair : calibration.other_pairs) json["other_pairs"].push_back(pair_json(pair));
  return json;
}

}  // namespace charm::calibrate
