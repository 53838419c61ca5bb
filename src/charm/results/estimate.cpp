#include "charm/results/estimate.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace charm::results {

using Json = nlohmann::ordered_json;

Json interval_json(const std::optional<Interval>& interval) {
  return interval ? Json::array({interval->lo, interval->hi}) : Json();
}

void put_estimate(Json& object, const std::string& name, const std::optional<Estimate>& estimate,
                  NoInterval no_interval) {
  object[name] = estimate && std::isfinite(estimate->value) ? Json(estimate->value) : Json();
  const auto ci95 = estimate ? estimate->ci95 : std::nullopt;
  if (ci95 || no_interval == NoInterval::kNull) object[name + "_ci95"] = interval_json(ci95);
}

}  // namespace charm::results
