#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/results/calibration.h"
#include "charm/results/evaluation.h"
#include "charm/stats/vote_table.h"

namespace charm::evaluate {

/// How well P(a over b) predicts votes; a tie is half a vote for each side.
struct VotePrediction {
  Estimate accuracy;  ///< of decided votes: the chosen response has P > 1/2; P = 1/2 counts half
  Estimate log_loss;  ///< mean cross-entropy, natural logarithm
  Estimate brier;     ///< mean (P - outcome)^2
  Estimate ece;       ///< expected calibration error over ten bins of confidence max(P, 1 - P)
};

struct VotesResult {
  std::int64_t num_votes = 0;
  std::int64_t num_decided = 0;
  std::int64_t num_prompts = 0;
  std::int64_t num_without_offset = 0;  ///< votes dropped: a policy is not in the calibration
  double temperature = 1.0;             ///< of both predictions, score units
  std::string temperature_source;       ///< "calibration", or "1"
  VotePrediction without_offsets;       ///< sigmoid(score difference / T)
  std::optional<VotePrediction> with_offsets;  ///< with offsets and style weights
  std::optional<VotePrediction> difference;    ///< with - without, paired
  std::vector<std::string> warnings;
};

/// Votes under the scores, and under the calibrated scores where a calibration is given. Intervals
/// resample prompts. The temperature is that of a calibration from votes; other calibrations have
/// none, and the reward model's own Bradley-Terry probability (T = 1) is used.
/// @param votes  with style counts where the calibration has style weights
VotesResult votes_result(std::span<const ScoredVote> votes,
                         const std::optional<results::Calibration>& calibration,
                         const BootstrapOptions& options);

/// As the result file has it.
results::Evaluation evaluation_of(const VotesResult& result);

/// Plain-text output.
std::string result_text(const VotesResult& result);

}  // namespace charm::evaluate
