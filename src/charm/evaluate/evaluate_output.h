#pragma once

#include <span>
#include <string>

#include "charm/evaluate/evaluate_stage.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// The model's name in results: given, or that of its folder, or of the output's.
std::string model_name(const EvaluateOptions& options);

/// Writes the result, with what says which run it was, and the manifest; logs its warnings.
/// @param data_sha256  of `options.data`, in their order
void write_result(const EvaluateOptions& options, std::span<const std::string> data_sha256,
                  results::Evaluation evaluation, EvaluateResult& result);

/// Benchmarks that need no model.
EvaluateResult evaluate_votes(const EvaluateOptions& options);
EvaluateResult evaluate_best_of_n(const EvaluateOptions& options);

}  // namespace charm::evaluate
