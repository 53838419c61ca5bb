#pragma once

#include <cstdint>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/report/case_builder.h"
#include "charm/report/run_data.h"

namespace charm::report {

/// The cases behind every pair's mismatch degree, every offset and its check on held-out prompts,
/// every benchmark's subset and every row of an audit. Results whose scores are missing have a note
/// instead.
/// @param per_cell  cases of each number
/// @param seed      of the random draw
CaseSet collect_cases(const RunData& run, std::int64_t per_cell, std::uint64_t seed,
                      const ProgressFn& progress);

// One function per kind of result; each adds one group. For case_collector.cpp.

void add_mismatch_cases(const RunData& run, const MismatchFile& file, CaseBuilder& builder);
/// From votes.
void add_vote_mismatch_cases(const RunData& run, const MismatchFile& file, CaseBuilder& builder);
/// Of `charm evaluate --benchmark votes`.
void add_vote_prediction_cases(const EvaluationFile& file, CaseBuilder& builder);
void add_benchmark_cases(const EvaluationFile& file, CaseBuilder& builder);
void add_audit_cases(const EvaluationFile& file, CaseBuilder& builder);

/// The prompts that a calibration was fitted on, or those held out of the fit.
enum class CasePrompts { kFit, kHeldOut };
/// Adds to the group of a calibration a cell for every policy against the reference.
void add_offset_cells(const RunData& run, const CalibrationFile& file, CasePrompts prompts,
                      CaseBuilder& builder);
/// From votes.
void add_vote_offset_cells(const CalibrationFile& file, CasePrompts prompts, CaseBuilder& builder);

/// Those of the files that hold scores of responses.
std::vector<fs::path> only_scores(std::vector<fs::path> files);
/// Those that hold scored votes.
std::vector<fs::path> only_votes(std::vector<fs::path> files);

/// The files of scores that an evaluation was computed from: by its manifest, or beside it.
std::vector<results::InputFile> scores_of_evaluation(const EvaluationFile& file);

/// Scores of responses.
bool holds_scores(const fs::path& path);

/// Scored votes.
bool holds_votes(const fs::path& path);

}  // namespace charm::report
