#pragma once

#include <optional>
#include <string>

#include "charm/report/run_data.h"

// Tables of before/after comparisons and of pair diagnostics.
namespace charm::report {

/// Every fine-tuned model against its base model, on the same rows: paired difference, rows gained
/// and lost, McNemar's test. Empty without comparisons.
std::string comparison_tables_html(const RunData& run, const std::string& benchmark);

/// Effect of training on each model: mismatch, correlation with ratings and overall benchmark
/// scores, one column per model. Empty without comparisons.
std::string training_effect_html(const RunData& run);

/// Difference in the benchmark's headline metric, `model` minus its base model; empty without
/// comparisons.
std::optional<Measured> headline_difference(const RunData& run, const std::string& model,
                                            const std::string& benchmark);

/// Calibration of each model's pair probabilities, and correlation with length. Empty where the
/// result files have none.
std::string probability_table_html(const RunData& run, const std::string& benchmark);

}  // namespace charm::report
