#include <nlohmann/json.hpp>

#include "charm/measure/mismatch.h"

namespace charm::measure {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const std::optional<stats::Interval>& interval) {
  return interval ? Json::array({interval->lo, interval->hi}) : Json();
}

Json policy_json(const MismatchPolicy& policy) {
  const bool has_interval = policy.rating.rating_lo && policy.rating.rating_hi;
  return {
      {"policy", policy.scores.policy},
      {"rating", policy.rating.rating_elo},
      {"rating_ci95",
       has_interval ? Json::array({*policy.rating.rating_lo, *policy.rating.rating_hi}) : Json()},
      {"mean_score", policy.scores.mean_score},
      {"num_scores", policy.scores.num_scores},
      {"num_errors", policy.scores.num_errors},
  };
}

Json pair_json(const MismatchPair& pair) {
  return {
      {"policy", pair.policy},
      {"reference", pair.reference},
      {"num_prompts", pair.num_prompts},
      {"num_rows", pair.num_rows},
      {"missing_policy", pair.missing_policy},
      {"missing_reference", pair.missing_reference},
      {"target_win_rate", pair.target_win_rate},
      {"target_win_rate_ci95", interval_json(pair.target_ci95)},
      {"win_rate_before", pair.win_rate},
      {"win_rate_before_ci95", interval_json(pair.win_rate_ci95)},
      {"mismatch_before", pair.mismatch},
      {"mismatch_before_ci95", interval_json(pair.mismatch_ci95)},
      {"ties_before", pair.ties},
      {"p_value", pair.p_value},
      {"p_value_holm", pair.p_value_holm},
      {"p_value_bh", pair.p_value_bh},
      {"flag", !pair.is_significant() ? Json()
               : pair.mismatch > 0.0  ? Json("over-valued")
                                      : Json("under-valued")},
  };
}

/// Rows are policies, columns references, both in the order of `policies`; null on the diagonal.
Json matrix_json(const Mismatch& mismatch) {
  Json matrix = Json::array();
  std::size_t next = 0;
  for (std::size_t i = 0; i < mismatch.policies.size(); ++i) {
    Json row = Json::array();
    for (std::size_t j = 0; j < mismatch.policies.size(); ++j) {
      row.push_back(i == j ? Json() : Json(mismatch.pairs[next++].mismatch));
    }
    matrix.push_back(std::move(row));
  }
  return matrix;
}

}  // namespace

Json mismatch_json(const Mismatch& mismatch, const Json& inputs) {
  Json json = {
      {"ties", stats::tie_rule_name(mismatch.ties)},
      {"bootstrap", mismatch.bootstrap},
      {"seed", mismatch.seed},
      {"num_prompts", mismatch.num_prompts},
      {"inputs", inputs},
      {"policies", Json::array()},
      {"pairs", Json::array()},
      {"warnings", mismatch.warnings},
      {"matrix", matrix_json(mismatch)},
  };
  for (const auto& policy : mismatch.policies) json["policies"].push_back(policy_json(policy));
  std::int64_t num_flagged = 0;
  for (const auto& pair : mismatch.pairs) {
    json["pairs"].push_back(pair_json(pair));
    num_flagged += pair.is_significant();
  }
  json["multiplicity"] = {{"num_tests", mismatch.pairs.size()},
                          {"level", kSignificanceLevel},
                          {"flags", "holm"},
                          {"num_flagged", num_flagged}};
  return json;
}

}  // namespace charm::measure
