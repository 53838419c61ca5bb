#pragma once

#include <vector>

#include "charm/base/progress.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/records/records.h"

namespace charm::evaluate {

/// Path of the scored rows: `save_scores`, or beside the output.
fs::path saved_scores_path(const EvaluateOptions& options);

/// The benchmark's scored rows: scored by the model, reused from a finished run with the same
/// options and inputs, or read from `scores`.
BenchmarkRows scored_rows(const EvaluateOptions& options, const ProgressFn& progress);

/// The same for the responses of policies.
std::vector<Score> arena_scores(const EvaluateOptions& options, const ProgressFn& progress);

}  // namespace charm::evaluate
