#pragma once

#include <string>
#include <vector>

#include "charm/explain/method_comparison.h"

namespace charm::explain {

/// Throws kInput for a policy without one.
const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy);

/// What methods make of one set of prompts; all of them see the same resamples.
/// @param scores   [method] corrected scores; the first method is what the others are compared with
/// @param offsets  [method] added to the policies' scores
std::vector<MethodCheck> check_methods(const std::vector<std::vector<ScoreFile>>& scores,
                                       const std::vector<std::vector<PolicyOffset>>& offsets,
                                       const stats::PairedScoresOptions& pairing,
                                       const CompareOptions& options);

}  // namespace charm::explain
