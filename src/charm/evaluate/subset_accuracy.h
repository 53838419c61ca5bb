#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// Result of a subset of RewardBench 1 or 2.
struct SubsetAccuracy {
  std::string name;
  std::string section;  ///< empty: in no section
  Estimate accuracy;    ///< share of correct rows, as the benchmark defines it
  std::int64_t num_rows = 0;
  double num_correct = 0.0;  ///< RewardBench 2: a best score shared by k texts counts 1/k
  std::int64_t ties = 0;
};

struct SectionScore {
  std::string name;
  Estimate score;
  std::int64_t num_rows = 0;
};

using results::MissingRows;

/// Rows of a subset; 0 if absent.
std::int64_t num_rows_of(std::span<const SubsetAccuracy> subsets, std::string_view name);

/// As the result file has it.
results::BenchmarkPart part_of(const SubsetAccuracy& subset);
results::BenchmarkPart part_of(const SectionScore& section);

/// For an unknown subset: names the nearest of `known`.
std::string unknown_subset_warning(const SubsetAccuracy& subset, std::span<const std::string> known,
                                   std::string_view benchmark);

}  // namespace charm::evaluate
