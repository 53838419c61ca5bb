#pragma once

#include <string>
#include <vector>

#include "charm/report/html.h"
#include "charm/report/run_data.h"

// One function per section of the page, each in a file of its own.
namespace charm::report {

/// Per-policy bias of each reward model, then sentences worded by the significance of each result.
Section summary_section(const RunData& run);

/// Mean mismatch degree of each policy, before and after training. Empty for files of versions that
/// did not compute it.
std::string policy_tables_html(const RunData& run);

/// Win rate against target before, after calibration and after retraining.
Section win_rate_section(const RunData& run);

/// Mismatch degree of all ordered pairs.
Section mismatch_section(const RunData& run);

/// Offsets with their intervals.
Section offset_section(const RunData& run);

/// Contributions of length and style to score gaps, and post-hoc corrections.
Section explanation_section(const RunData& run);

/// Score distributions per policy.
Section score_section(const RunData& run);

/// Mean score against Arena rating.
Section rating_section(const RunData& run);

/// Loss and accuracy over training steps.
Section training_section(const RunData& run);

/// Benchmarks before and after.
Section evaluation_section(const RunData& run);

/// Texts behind the numbers; its content is made by assets/cases.js. Empty title without cases.
Section case_section(const RunData& run);

/// Planted against recovered offsets; only for runs with ground truth (empty title otherwise).
Section world_section(const RunData& run);

/// Versions, options, inputs and hashes.
Section provenance_section(const RunData& run);

/// Policies by rating, best first; those without a rating last, by name.
std::vector<std::string> policies_by_rating(const RunData& run, std::vector<std::string> policies);

/// The same policies in the mismatch of a model, see RunData::mismatch_of; nullptr where they were
/// not measured.
const results::Pair* measured_pair(const RunData& run, const std::string& model,
                                   const CalibrationFile& calibration, const results::Pair& pair);

/// The pair before calibration: from the mismatch file, on the same prompts as after retraining, or
/// else from the calibration.
const results::Pair& pair_before(const RunData& run, const CalibrationFile& calibration,
                                 const results::Pair& pair);

/// Empty without rates.
std::optional<results::Estimate> win_rate_of(const std::optional<results::PairRates>& rates);
std::optional<results::Estimate> mismatch_of(const std::optional<results::PairRates>& rates);

/// What the calibrated pairs have in common, see stats::common_prompts_text.
std::string common_prompts_text(const CalibrationFile& calibration);

/// Models in reading order: each base model, then its fine-tuned ones.
std::vector<std::string> models_in_order(const RunData& run, std::vector<std::string> models);

}  // namespace charm::report
