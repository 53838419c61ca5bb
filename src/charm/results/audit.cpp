#include "charm/results/audit.h"

#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

Json measures_json(const std::vector<PickMeasure>& measures) {
  Json json = Json::object();
  for (const PickMeasure& measure : measures) {
    Json& entry = json[measure.name];
    put_estimate(entry, "before", measure.before);
    if (measure.after) put_estimate(entry, "after", measure.after);
    if (measure.difference) put_estimate(entry, "difference", measure.difference);
    if (measure.implied) entry["implied"] = *measure.implied;
  }
  return json;
}

std::vector<PickMeasure> read_measures(const Fields& fields) {
  std::vector<PickMeasure> measures;
  for (const auto& [name, value] : fields.json().items()) {
    const Fields entry = fields.at<Fields>(name.c_str());
    measures.push_back({.name = name,
                        .before = entry.estimate_at("before"),
                        .after = entry.find_estimate("after"),
                        .difference = entry.find_estimate("difference"),
                        .implied = entry.find<double>("implied")});
  }
  return measures;
}

}  // namespace

Json to_json(const PicksOfN& picks) {
  Json json = {{"n", picks.n}, {"num_prompts", picks.num_prompts}, {"kl", picks.kl}};
  if (picks.same_pick) put_estimate(json, "same_pick", picks.same_pick);
  json["measures"] = measures_json(picks.measures);
  json["policies"] = measures_json(picks.policies);
  return json;
}

PicksOfN read_picks(const Fields& fields) {
  return {.n = fields.at<std::int64_t>("n"),
          .num_prompts = fields.find_or<std::int64_t>("num_prompts"),
          .kl = fields.find_or<double>("kl"),
          .same_pick = fields.find_estimate("same_pick"),
          .measures = read_measures(fields.at<Fields>("measures")),
          .policies = read_measures(fields.at<Fields>("policies"))};
}

}  // namespace charm::results
