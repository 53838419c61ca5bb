#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/tally.h"
#include "charm/records/eval_item.h"
#include "charm/records/records.h"
#include "charm/stats/mcnemar.h"

// Two runs of one benchmark, A and B, on the same rows. Differences are B - A.
namespace charm::evaluate {

struct ComparedFigure {
  Figure figure;
  Estimate a, b;
  Estimate difference;  ///< both runs draw the same prompts (paired bootstrap)
};

/// Comparisons that one run gets right and the other does not.
struct Flips {
  std::int64_t gained = 0;  ///< B right, A wrong
  std::int64_t lost = 0;    ///< A right, B wrong
  std::int64_t num_comparisons = 0;
  std::int64_t num_rows = 0;
  stats::McNemar test;        ///< RM-Bench: clustered by row
  double p_value_holm = 1.0;  ///< of subsets: adjusted for all of them
};

struct Comparison {
  Benchmark benchmark = Benchmark::kRewardBench;
  std::vector<ComparedFigure> figures;
  bool is_whole = false;  ///< the overall is that of the whole benchmark
  std::int64_t num_rows = 0;
  std::int64_t num_left_out = 0;       ///< arena: responses without a score in one of the runs
  std::optional<Flips> overall_flips;  ///< not for arena; rows that count in a section
  std::map<std::string, Flips> section_flips, subset_flips;
};

/// Rows may stand in any order. Throws kInput where the two hold different rows, naming the first
/// of each kind.
Comparison compare_rows(Benchmark benchmark, std::span<const ScoredEvalItem> a,
                        std::span<const ScoredEvalItem> b, const BootstrapOptions& options);

/// Correlations with ratings and mean |MD|, also of the policies `left_out`. Throws kInput where
/// the policies or the responses differ; a response with an error in one of the runs is left out of
/// both and counted.
Comparison compare_arena(std::span<const Score> a, std::span<const Score> b,
                         const std::map<std::string, double>& rating_of_policy,
                         const std::vector<std::string>& left_out, const BootstrapOptions& options);

nlohmann::ordered_json to_json(const Comparison& comparison);

/// A table for people.
std::string comparison_text(const Comparison& comparison);

}  // namespace charm::evaluate
