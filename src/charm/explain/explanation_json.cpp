#include <nlohmann/json.hpp>

#include "charm/explain/explain_stage.h"

namespace charm::explain {
namespace {

using Json = nlohmann::ordered_json;

void put(Json& json, const std::string& name, const std::optional<results::Estimate>& value) {
  put_estimate(json, name, value, results::NoInterval::kNull);
}

Json share_json(const std::optional<double>& share) { return share ? Json(*share) : Json(); }

Json dropped_json(const std::vector<DroppedColumn>& dropped) {
  Json json = Json::array();
  for (const DroppedColumn& one : dropped)
    json.push_back({{"feature", one.name}, {"reason", one.reason}});
  return json;
}

Json matched_json(const std::optional<MatchedMismatch>& matched) {
  if (!matched) return nullptr;
  Json json = {{"features", matched->features}, {"effective_rows", matched->effective_rows}};
  put(json, "win_rate", matched->win_rate);
  put(json, "mismatch", matched->mismatch);
  return json;
}

Json pair_json(const PairExplanation& pair) {
  Json json = {{"policy", pair.policy},
               {"reference", pair.reference},
               {"num_prompts", pair.num_prompts},
               {"num_rows", pair.num_rows}};
  put(json, "score_gap", pair.score_gap);
  put(json, "offset", pair.offset);
  put(json, "explained", pair.explained);
  put(json, "unexplained", pair.unexplained);
  json["r_squared"] = pair.r_squared;
  json["effects"] = Json::array();
  for (const FeatureEffect& effect : pair.effects) {
    Json one = {{"feature", effect.feature}};
    put(one, "coefficient", effect.coefficient);
    one["mean_difference"] = effect.mean_difference;
    put(one, "contribution", effect.contribution);
    one["share_of_gap"] = share_json(effect.share_of_gap);
    one["share_of_offset"] = share_json(effect.share_of_offset);
    json["effects"].push_back(std::move(one));
  }
  json["dropped"] = dropped_json(pair.dropped);
  json["target_win_rate"] = pair.target_win_rate ? Json(*pair.target_win_rate) : Json();
  put(json, "win_rate", pair.win_rate);
  put(json, "mismatch", pair.mismatch);
  json["length_matched"] = matched_json(pair.length_matched);
  json["style_matched"] = matched_json(pair.style_matched);
  return json;
}

Json correlations_json(const std::optional<evaluate::Correlations>& correlations) {
  if (!correlations) return nullptr;
  Json json;
  put(json, "spearman", correlations->spearman);
  put(json, "kendall", correlations->kendall);
  put(json, "pearson", correlations->pearson);
  return json;
}

Json check_json(const MethodCheck& check) {
  Json json = {{"num_prompts", check.num_prompts}};
  put(json, "mean_abs_mismatch", check.mean_abs_mismatch);
  put(json, "change", check.change);
  json["by_chance"] = check.sampling_noise;
  json["correlations"] = {{"mean_score", correlations_json(check.mean_score)},
                          {"win_rate", correlations_json(check.win_rate)}};
  return json;
}

Json method_json(const Method& method) {
  Json json = {{"method", method.name}, {"meaning", method.meaning}, {"offsets", Json::object()}};
  for (const results::CalibratedPolicy& one : method.offsets)
    json["offsets"][one.policy] = one.offset.value;
  json["fit"] = check_json(method.fit);
  json["held_out"] = method.held_out ? check_json(*method.held_out) : Json();
  json["reward_bench"] = method.reward_bench ? evaluate::to_json(*method.reward_bench) : Json();
  json["rm_bench"] = method.rm_bench ? evaluate::to_json(*method.rm_bench) : Json();
  return json;
}

Json pooled_json(const PooledEffects& pooled) {
  Json json = {{"num_rows", pooled.num_rows},
               {"num_prompts", pooled.num_prompts},
               {"effects", Json::array()},
               {"dropped", dropped_json(pooled.dropped)}};
  for (const FeatureEffect& effect : pooled.effects) {
    Json one = {{"feature", effect.feature}};
    put(one, "coefficient", effect.coefficient);
    json["effects"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

Json explanation_json(const Explanation& explanation, const ExplainSettings& settings,
                      const Json& inputs) {
  Json json = {{"reference", explanation.reference},
               {"ties", stats::tie_rule_name(settings.ties)},
               {"bootstrap", settings.bootstrap},
               {"seed", settings.seed},
               {"min_differing", settings.min_differing},
               {"num_prompts", explanation.num_prompts},
               {"inputs", inputs},
               {"features", Json::array()},
               {"pairs", Json::array()},
               {"pooled", nullptr},
               {"methods", nullptr},
               {"warnings", explanation.warnings}};
  for (const FeatureName& feature : kFeatures)
    json["features"].push_back({{"feature", feature.name}, {"meaning", feature.meaning}});
  for (const PairExplanation& pair : explanation.pairs) json["pairs"].push_back(pair_json(pair));
  if (explanation.methods) {
    json["pooled"] = pooled_json(explanation.methods->pooled);
    json["methods"] = Json::array();
    for (const Method& method : explanation.methods->methods)
      json["methods"].push_back(method_json(method));
  }
  return json;
}

}  // namespace charm::explain
