#pragma once

#include <optional>
#include <span>

#include "charm/evaluate/benchmark.h"
#include "charm/results/calibration.h"
#include "charm/results/evaluation.h"
#include "charm/stats/vote_table.h"

namespace charm::evaluate {

/// How well P(a over b) predicts votes, under the scores, and under the calibrated scores where a
/// calibration is given: predictions "without_offsets" (sigmoid of the score difference / T),
/// "with_offsets" (also with style weights) and their paired "difference", each with the measures
/// of vote_measures.h. Intervals resample prompts. The temperature is that of a calibration from
/// votes; other calibrations have none, and the reward model's own Bradley-Terry probability (T =
/// 1) is used. Votes on policies that are not in the calibration are dropped, with a warning.
/// @param votes  with style counts where the calibration has style weights
results::Evaluation votes_result(std::span<const ScoredVote> votes,
                                 const std::optional<results::Calibration>& calibration,
                                 const BootstrapOptions& options);

}  // namespace charm::evaluate
