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
      {"offset_unshrunk", policy.offset_unshrunk ? Json(*policy.offset_unshrunk) : Json()},
      {"shrinkage", policy.shrinkage ? Json(*policy.shrinkage) : Json()},
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
      {"leverage", pair.leverage ? Json(*pair.leverage) : Json()},
      {"influence", pair.influence ? Json(*pair.influence) : Json()},
  };
}

Json pairs_json(std::span<const CalibratedPair> pairs) {
  Json json = Json::array();
  for (const CalibratedPair& pair : pairs) json.push_back(pair_json(pair));
  return json;
}

Json mean_json(std::span<const CalibratedPair> pairs, std::span<const CalibratedPair> other_pairs) {
  const MeanMismatch mean = mean_mismatch(pairs, other_pairs);
  return {{"before", mean.before}, {"after", mean.after}, {"by_chance", mean.sampling_noise}};
}

Json held_out_json(const HeldOut& held_out, std::uint64_t seed) {
  const bool is_split = held_out.share > 0.0;
  Json json = {{"share", is_split ? Json(held_out.share) : Json()},
               {"seed", is_split ? Json(seed) : Json()},
               {"num_prompts", held_out.num_prompts},
               {"mean_abs_mismatch", mean_json(held_out.pairs, held_out.other_pairs)},
               {"pairs", pairs_json(held_out.pairs)},
               {"other_pairs", pairs_json(held_out.other_pairs)}};
  // Both are diagnostics of the fit, not of held-out prompts.
  for (const char* list : {"pairs", "other_pairs"}) {
    for (Json& pair : json[list]) {
      pair.erase("leverage");
      pair.erase("influence");
    }
  }
  return json;
}

Json held_out_policy_check_json(const HeldOutPolicyCheck& check) {
  return {{"num_prompts", check.num_prompts},
          {"before", check.before},
          {"after", check.after},
          {"change", check.after - check.before},
          {"change_ci95", interval_json(check.change_ci95)},
          {"with_all", check.with_all}};
}

// null where leave-one-out was not requested.
Json held_out_policies_json(std::span<const HeldOutPolicy> policies) {
  if (policies.empty()) return nullptr;
  Json json = Json::array();
  for (const HeldOutPolicy& one : policies) {
    json.push_back(
        {{"policy", one.policy},
         {"largest_offset_move", one.largest_offset_change},
         {"fit", held_out_policy_check_json(one.fit)},
         {"held_out", one.held_out ? held_out_policy_check_json(*one.held_out) : Json()}});
  }
  return json;
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
      {"shrink", calibration.prior_sd ? Json{{"prior_sd", *calibration.prior_sd}} : Json()},
      {"interval", "bootstrap"},
      {"bootstrap", options.bootstrap},
      {"seed", options.seed},
      {"reference", calibration.reference},
      {"num_prompts", calibration.num_prompts},
      {"inputs", inputs},
      {"policies", Json::array()},
      {"mean_abs_mismatch", mean_json(calibration.pairs, calibration.other_pairs)},
      {"pairs", pairs_json(calibration.pairs)},
      {"other_pairs", pairs_json(calibration.other_pairs)},
      {"held_out",
       calibration.held_out ? held_out_json(*calibration.held_out, options.seed) : Json()},
      {"left_out", held_out_policies_json(calibration.held_out_policies)},
      {"warnings", calibration.warnings},
  };
  for (const auto& policy : calibration.policies) json["policies"].push_back(policy_json(policy));
  return json;
}

}  // namespace charm::calibrate
