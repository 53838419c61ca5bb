#pragma once

#include <string>

#include "charm/evaluate/arena.h"
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"

// Plain-text output of benchmark results.
namespace charm::evaluate {

/// "0.8120 [0.7950, 0.8290]", without brackets where there is no interval, "undefined" for NaN.
std::string estimate_text(const Estimate& estimate);

std::string result_text(const RewardBenchResult& result);
std::string result_text(const RewardBench2Result& result);
std::string result_text(const RmBenchResult& result);
std::string result_text(const ArenaResult& result);

/// Two lines: calibration of pair probabilities, length correlation.
std::string result_text(const PairDiagnostics& diagnostics);

}  // namespace charm::evaluate
