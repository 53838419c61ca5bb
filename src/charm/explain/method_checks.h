#pragma once

#include <string>
#include <vector>

#include "charm/explain/method_comparison.h"

namespace charm::explain {

/// Throws kInput for a policy without one.
const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy);

/// Evaluates methods on one set of prompts, all on the same bootstrap replicates.
/// @param scores   [method] corrected scores; the first method is the baseline
/// @param offsets  [method] added to the policies' scores
std::vector<MethodCheck> check_methods(const std::vector<std::vector<ScoreFile>>& scores,
                                       const std::vector<std::vector<PolicyOffset>>& offsets,
                                       const stats::PairedScoresOptions& pairing,
                                       const CompareOptions& options);

}  // namespace charm::explain
