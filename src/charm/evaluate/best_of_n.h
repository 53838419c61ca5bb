#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/fs.h"
#include "charm/evaluate/benchmark.h"
#include "charm/records/features.h"
#include "charm/results/audit.h"

namespace charm::evaluate {

/// One response that best-of-n may pick.
struct Candidate {
  std::string prompt_id;
  std::string policy;
  std::int32_t sample = 0;
  double score = 0.0;
  std::optional<double> score_after;  ///< corrected: with its policy's offset, or of another model
  Features features{};
  std::optional<double> gold_score;  ///< quality as the file has it
  std::optional<double> label;       ///< whether the response is right: 0 or 1
};

struct CandidateRows {
  std::vector<Candidate> rows;
  std::int64_t num_errors = 0;  ///< rows that carry an error instead of a score; dropped
};

/// Rows of scores files with their texts; `gold_score` (a number) and `label` (true, false or a
/// number) where the file has them.
CandidateRows read_candidates(std::span<const fs::path> paths, std::int64_t max_bad_rows);

/// What the audit's measure of this name ("length", "lists", ..., "score", "gold_score", "label")
/// is of one response: empty where it has none. The name is one that the audit writes.
std::optional<double> measure_of(const Candidate& candidate, std::string_view measure);

using results::PickMeasure;
using results::PicksOfN;

/// The audit: for every n the expected pick over all subsets of n of a prompt's candidates, a mean
/// over prompts with intervals that resample them. n = 1 is the sampling distribution.
/// @param ratings  Elo points by policy, for the implied shares; empty: none
std::vector<PicksOfN> best_of_n_audit(std::span<const Candidate> candidates,
                                      const std::map<std::string, double>& ratings,
                                      const BootstrapOptions& options);

}  // namespace charm::evaluate
