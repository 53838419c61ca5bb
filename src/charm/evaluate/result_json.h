#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// Sets `name` and `name_ci95` (null where a value is undefined; no `_ci95` key where there is no
/// interval).
void put_estimate(nlohmann::ordered_json& object, const std::string& name,
                  const Estimate& estimate);

}  // namespace charm::evaluate
