#pragma once

#include <optional>
#include <string>

#include "charm/report/run_data.h"

// Tables about one benchmark that stand below its figures.
namespace charm::report {

/// Every model trained on against the one it comes from, on the same rows: paired difference, rows
/// won and lost, McNemar's test. Empty where no comparison was made.
std::string comparison_tables_html(const RunData& run, const std::string& benchmark);

/// What training on did to each model: mismatch, correlation with ratings and the benchmarks'
/// overall figures, one column a model. Empty where no comparison was made.
std::string training_effects_html(const RunData& run);

/// Difference of the figure that stands for the benchmark, `model` minus the one it comes from;
/// empty where no comparison was made.
std::optional<Measured> headline_difference(const RunData& run, const std::string& model,
                                            const std::string& benchmark);

/// How good the scores of each model are as probabilities, and how they go with length. Empty where
/// the result files say nothing of it.
std::string probability_table_html(const RunData& run, const std::string& benchmark);

}  // namespace charm::report
