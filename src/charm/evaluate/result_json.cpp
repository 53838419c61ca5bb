#include "charm/evaluate/result_json.h"

#include <cmath>

namespace charm::evaluate {

void put_estimate(nlohmann::ordered_json& object, const std::string& name,
                  const Estimate& estimate) {
  if (std::isfinite(estimate.value)) {
    object[name] = estimate.value;
  } else {
    object[name] = nullptr;
  }
  if (std::isfinite(estimate.lo)) object[name + "_ci95"] = {estimate.lo, estimate.hi};
}

}  // namespace charm::evaluate
