#pragma once

#include <optional>
#include <string>
#include <vector>

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
std::optional<results::Estimate> headline_difference(const RunData& run, const std::string& model,
                                                     const std::string& benchmark);

/// Calibration of each model's pair probabilities, and correlation with length. Empty where the
/// result files have none.
std::string probability_table_html(const RunData& run, const std::string& benchmark);

struct NamedValue {
  std::string name;
  results::Estimate measured;
  bool is_detail = false;  ///< subsets: in the table only, not in the chart
};

/// The metrics of one evaluation in reading order: overall first, then sections, domains or
/// correlations, then subsets.
std::vector<NamedValue> evaluation_values(const EvaluationFile& evaluation);

/// The benchmark's headline metric (overall, the partial overall, or the rank correlation); nullopt
/// where there is none.
std::optional<NamedValue> headline(const EvaluationFile& evaluation);

/// Caveats: sampled rows, missing parts, unusable rows. Empty for a complete benchmark.
std::string evaluation_caveat(const EvaluationFile& evaluation);

/// Votes with and without offsets.
std::string votes_html(const RunData& run, const EvaluationFile& evaluation);

/// What best-of-n picks before and after correction, for every n.
std::string audit_html(const RunData& run, const EvaluationFile& evaluation);

/// Temperature, style weights and what the fit was made from; empty for a calibration from ratings.
std::string vote_fit_html(const CalibrationFile& calibration);

}  // namespace charm::report
