#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"

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

/// A subset with fewer or more rows than the benchmark.
struct MissingRows {
  std::string subset;
  std::int64_t num_rows = 0;
  std::int64_t expected_rows = 0;
};

/// Rows of a subset; 0 if absent.
std::int64_t num_rows_of(std::span<const SubsetAccuracy> subsets, std::string_view name);

/// Sets `subsets[subset.name]`.
void put_subset(nlohmann::ordered_json& subsets, const SubsetAccuracy& subset);
/// Rows that are missing in all.
std::int64_t num_missing_rows(std::span<const MissingRows> incomplete);
nlohmann::ordered_json incomplete_json(std::span<const MissingRows> incomplete);

/// For an unknown subset: names the nearest of `known`.
std::string unknown_subset_warning(const SubsetAccuracy& subset, std::span<const std::string> known,
                                   std::string_view benchmark);

}  // namespace charm::evaluate
