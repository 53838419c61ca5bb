#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// What both versions of RewardBench report of a subset.
struct SubsetAccuracy {
  std::string name;
  std::string section;  ///< empty: counts in no section
  Estimate accuracy;    ///< share of rows that are right, as the benchmark counts them
  std::int64_t num_rows = 0;
  double num_correct = 0.0;  ///< RewardBench 2: a best score that k texts share counts 1/k
  std::int64_t ties = 0;
};

struct SectionScore {
  std::string name;
  Estimate score;
  std::int64_t num_rows = 0;
};

/// What is less than the whole benchmark.
struct MissingRows {
  std::string subset;
  std::int64_t num_rows = 0;
  std::int64_t expected_rows = 0;
};

/// Rows of a subset; 0 where it is not among them.
std::int64_t num_rows_of(std::span<const SubsetAccuracy> subsets, std::string_view name);

/// Sets `subsets[subset.name]`.
void put_subset(nlohmann::ordered_json& subsets, const SubsetAccuracy& subset);
nlohmann::ordered_json incomplete_json(std::span<const MissingRows> incomplete);

/// For a subset that the benchmark does not have: names the nearest of `known`.
std::string unknown_subset_warning(const SubsetAccuracy& subset, std::span<const std::string> known,
                                   std::string_view benchmark);

}  // namespace charm::evaluate
