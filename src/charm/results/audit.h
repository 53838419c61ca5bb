#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/results/estimate.h"

namespace charm::results {

class Fields;

/// A measure of what best-of-n picks: before correction, after it, and the paired difference.
struct PickMeasure {
  std::string name;
  Estimate before;
  std::optional<Estimate> after;
  std::optional<Estimate> difference;
  std::optional<double> implied;  ///< of a policy's share: what ratings imply
};

/// What best-of-n picks for one n.
struct PicksOfN {
  std::int64_t n = 1;
  std::int64_t num_prompts = 0;       ///< with at least n candidates
  double kl = 0.0;                    ///< from the sampling distribution, nats
  std::optional<Estimate> same_pick;  ///< share of picks that the correction leaves as they are
  std::vector<PickMeasure> measures;  ///< means over the picks
  std::vector<PickMeasure> policies;  ///< share of each policy among the picks
};

nlohmann::ordered_json to_json(const PicksOfN& picks);
PicksOfN read_picks(const Fields& fields);

}  // namespace charm::results
