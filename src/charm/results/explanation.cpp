#include "charm/results/explanation.h"

#include <cmath>
#include <limits>

#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

void put(Json& json, const std::string& name, const std::optional<Estimate>& value) {
  put_estimate(json, name, value, NoInterval::kNull);
}

Json dropped_json(const DroppedFeature& dropped) {
  return {{"feature", dropped.name}, {"reason", dropped.reason}};
}

DroppedFeature read_dropped(const Fields& fields) {
  return {.name = fields.at<std::string>("feature"), .reason = fields.at<std::string>("reason")};
}

Json effect_json(const FeatureEffect& effect) {
  Json json = {{"feature", effect.feature}};
  put(json, "coefficient", effect.coefficient);
  json["mean_difference"] = effect.mean_difference;
  put(json, "contribution", effect.contribution);
  json["share_of_gap"] = json_or_null(effect.share_of_gap);
  json["share_of_offset"] = json_or_null(effect.share_of_offset);
  return json;
}

// Of a pair, or with coefficients only of the pooled regression.
FeatureEffect read_effect(const Fields& fields) {
  return {.feature = fields.at<std::string>("feature"),
          .coefficient = fields.estimate_at("coefficient"),
          .mean_difference = fields.find_or<double>("mean_difference"),
          .contribution = fields.find_estimate("contribution").value_or(Estimate{}),
          .share_of_gap = fields.find<double>("share_of_gap"),
          .share_of_offset = fields.find<double>("share_of_offset")};
}

Json matched_json(const std::optional<MatchedMismatch>& matched) {
  if (!matched) return nullptr;
  Json json = {{"features", matched->features}, {"effective_rows", matched->effective_rows}};
  put(json, "win_rate", matched->win_rate);
  put(json, "mismatch", matched->mismatch);
  return json;
}

MatchedMismatch read_matched(const Fields& fields) {
  return {.features = fields.find_or<std::vector<std::string>>("features"),
          .effective_rows = fields.find_or<double>("effective_rows"),
          .win_rate = fields.estimate_or_nan("win_rate"),
          .mismatch = fields.estimate_or_nan("mismatch")};
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
  json["effects"] = list_json(pair.effects, effect_json);
  json["dropped"] = list_json(pair.dropped, dropped_json);
  json["target_win_rate"] = json_or_null(pair.target_win_rate);
  put(json, "win_rate", pair.win_rate);
  put(json, "mismatch", pair.mismatch);
  json["length_matched"] = matched_json(pair.length_matched);
  json["style_matched"] = matched_json(pair.style_matched);
  return json;
}

PairExplanation read_explained_pair(const Fields& fields) {
  PairExplanation pair;
  pair.policy = fields.at<std::string>("policy");
  pair.reference = fields.at<std::string>("reference");
  pair.num_prompts = fields.find_or<std::int64_t>("num_prompts");
  pair.num_rows = fields.find_or<std::int64_t>("num_rows");
  pair.score_gap = fields.estimate_or_nan("score_gap");
  pair.offset = fields.find_estimate("offset");
  pair.explained = fields.estimate_or_nan("explained");
  pair.unexplained = fields.estimate_or_nan("unexplained");
  pair.r_squared = fields.find_or<double>("r_squared", kUndefined);
  pair.effects = fields.list("effects", read_effect);
  pair.dropped = fields.list("dropped", read_dropped);
  pair.target_win_rate = fields.find<double>("target_win_rate");
  pair.win_rate = fields.find_estimate("win_rate");
  pair.mismatch = fields.find_estimate("mismatch");
  pair.length_matched = fields.object("length_matched", read_matched);
  pair.style_matched = fields.object("style_matched", read_matched);
  return pair;
}

Json method_check_json(const MethodCheck& check) {
  Json json = {{"num_prompts", check.num_prompts}};
  put(json, "mean_abs_mismatch", check.mean_abs_mismatch);
  put(json, "change", check.change);
  json["by_chance"] = check.sampling_noise;
  const auto correlations = [](const std::optional<Correlations>& found) {
    return found ? to_json(*found, NoInterval::kNull) : Json();
  };
  json["correlations"] = {{"mean_score", correlations(check.mean_score)},
                          {"win_rate", correlations(check.win_rate)}};
  return json;
}

MethodCheck read_method_check(const Fields& fields) {
  MethodCheck check{.num_prompts = fields.find_or<std::int64_t>("num_prompts"),
                    .mean_abs_mismatch = fields.estimate_or_nan("mean_abs_mismatch"),
                    .change = fields.find_estimate("change"),
                    .sampling_noise = fields.find_or<double>("by_chance", kUndefined),
                    .mean_score = {},
                    .win_rate = {}};
  if (const auto correlations = fields.find<Fields>("correlations")) {
    check.mean_score = correlations->object("mean_score", read_correlations);
    check.win_rate = correlations->object("win_rate", read_correlations);
  }
  return check;
}

Json method_json(const Method& method) {
  Json json = {{"method", method.name}, {"meaning", method.meaning}, {"offsets", Json::object()}};
  for (const auto& [policy, offset] : method.offsets) json["offsets"][policy] = offset;
  json["fit"] = method_check_json(method.fit);
  json["held_out"] = method.held_out ? method_check_json(*method.held_out) : Json();
  json["reward_bench"] = method.reward_bench ? numbers_json(*method.reward_bench) : Json();
  json["rm_bench"] = method.rm_bench ? numbers_json(*method.rm_bench) : Json();
  return json;
}

Method read_method(const Fields& fields) {
  Method method;
  method.name = fields.at<std::string>("method");
  method.meaning = fields.find_or<std::string>("meaning");
  if (const auto offsets = fields.find<Fields>("offsets")) {
    for (const auto& [policy, value] : offsets->json().items())
      method.offsets.emplace_back(policy, offsets->at<double>(policy.c_str()));
  }
  method.fit = read_method_check(fields.at<Fields>("fit"));
  method.held_out = fields.object("held_out", read_method_check);
  const auto benchmark = [&](const char* member, const char* name) {
    const auto result = fields.find<Fields>(member);
    if (!result) return std::optional<Evaluation>();
    Evaluation evaluation = read_evaluation(result->json(), result->where());
    evaluation.benchmark = name;
    return std::optional(std::move(evaluation));
  };
  method.reward_bench = benchmark("reward_bench", "reward-bench");
  method.rm_bench = benchmark("rm_bench", "rm-bench");
  return method;
}

Json pooled_json(const PooledEffects& pooled) {
  const auto coefficient = [](const FeatureEffect& effect) {
    Json json = {{"feature", effect.feature}};
    put(json, "coefficient", effect.coefficient);
    return json;
  };
  return {{"num_rows", pooled.num_rows},
          {"num_prompts", pooled.num_prompts},
          {"effects", list_json(pooled.effects, coefficient)},
          {"dropped", list_json(pooled.dropped, dropped_json)}};
}

PooledEffects read_pooled(const Fields& fields) {
  return {.effects = fields.list("effects", read_effect),
          .dropped = fields.list("dropped", read_dropped),
          .num_rows = fields.find_or<std::int64_t>("num_rows"),
          .num_prompts = fields.find_or<std::int64_t>("num_prompts")};
}

}  // namespace

Json to_json(const Explanation& explanation, const Json& inputs) {
  const auto feature_json = [](const auto& feature) -> Json {
    return {{"feature", feature.first}, {"meaning", feature.second}};
  };
  const bool has_methods = !explanation.methods.empty();
  return {{"version", Explanation::kVersion},
          {"reference", explanation.reference},
          {"ties", tie_rule_name(explanation.ties)},
          {"bootstrap", explanation.bootstrap},
          {"seed", explanation.seed},
          {"min_differing", explanation.min_differing},
          {"num_prompts", explanation.num_prompts},
          {"inputs", inputs},
          {"features", list_json(explanation.features, feature_json)},
          {"pairs", list_json(explanation.pairs, pair_json)},
          {"pooled", explanation.pooled ? pooled_json(*explanation.pooled) : Json()},
          {"methods", has_methods ? list_json(explanation.methods, method_json) : Json()},
          {"warnings", explanation.warnings}};
}

Explanation read_explanation(const Json& json, const std::string& file) {
  const Fields fields(json, file, "charm explain");
  fields.check_version(Explanation::kVersion);
  Explanation explanation;
  explanation.reference = fields.find_or<std::string>("reference");
  explanation.ties = fields.word_or("ties", parse_tie_rule, TieRule::kLoss);
  explanation.bootstrap = fields.find_or<std::int64_t>("bootstrap");
  explanation.seed = fields.find_or<std::uint64_t>("seed");
  explanation.min_differing = fields.find_or<std::int64_t>("min_differing");
  explanation.num_prompts = fields.find_or<std::int64_t>("num_prompts");
  explanation.features = fields.list("features", [](const Fields& feature) {
    return std::pair(feature.at<std::string>("feature"), feature.find_or<std::string>("meaning"));
  });
  for (const Fields& pair : fields.at<std::vector<Fields>>("pairs"))
    explanation.pairs.push_back(read_explained_pair(pair));
  explanation.pooled = fields.object("pooled", read_pooled);
  explanation.methods = fields.list("methods", read_method);
  explanation.warnings = fields.find_or<std::vector<std::string>>("warnings");
  return explanation;
}

Explanation read_explanation(const std::filesystem::path& path) {
  return read_explanation(read_json(path, "charm explain"), path.string());
}

}  // namespace charm::results
