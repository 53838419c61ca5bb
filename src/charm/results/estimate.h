#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace charm::results {

/// Bounds of a confidence interval.
struct Interval {
  double lo = 0.0;
  double hi = 0.0;
};

/// A value with its 95 % interval; the value is NaN where it is undefined.
struct Estimate {
  double value = 0.0;
  std::optional<Interval> ci95;
};

/// [lo, hi]; null without an interval.
nlohmann::ordered_json interval_json(const std::optional<Interval>& interval);

/// How a missing interval is written.
enum class NoInterval {
  kOmit,  ///< no member
  kNull,
};

/// Sets `name` (null where there is no value) and `name_ci95` of an object.
void put_estimate(nlohmann::ordered_json& object, const std::string& name,
                  const std::optional<Estimate>& estimate,
                  NoInterval no_interval = NoInterval::kOmit);

}  // namespace charm::results
