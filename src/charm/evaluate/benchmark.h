#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "charm/results/estimate.h"

namespace charm::evaluate {

enum class Benchmark {
  kRewardBench,   ///< RewardBench v1: one chosen and one rejected text per row
  kRewardBench2,  ///< RewardBench 2: lists of texts, best of four and the Ties subset
  kRmBench,  ///< RM-Bench: three chosen and three rejected texts per row, from concise to Markdown
             ///< style
  kJudgeBench,  ///< JudgeBench: pairs of responses of which one is right
  kRmb,         ///< RMB: pairs, and best-of-n rows with one best text
  kPpe,    ///< PPE's correctness sets: 32 responses to a question, pairs of a right and a wrong one
  kArena,  ///< correlation of policies' scores with their Chatbot Arena ratings
  kVotes,  ///< people's votes, with and without a calibration
  kBestOfN,  ///< audit of what best-of-n picks, before and after correction
};

/// Names of the benchmarks, in this order: "reward-bench", "reward-bench-2", "rm-bench",
/// "judge-bench", "rmb", "ppe", "arena", "votes", "best-of-n".
std::vector<std::string_view> benchmark_names();

/// Also without hyphens ("judgebench"); throws kUsage naming the known ones.
Benchmark parse_benchmark(std::string_view name);
std::string_view benchmark_name(Benchmark benchmark);

using results::Estimate;  // of a fraction, correlation or difference

struct BootstrapOptions {
  std::int64_t num_replicates =
      1000;  ///< bootstrap replicates; more give less Monte Carlo error; 0: no intervals
  std::uint64_t seed = 0;  ///< the same seed gives the same intervals
};

/// "0.8120 [0.7950, 0.8290]", without brackets where there is no interval, "undefined" for NaN.
std::string estimate_text(const Estimate& estimate);

}  // namespace charm::evaluate
