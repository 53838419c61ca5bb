#include "charm/evaluate/subset_accuracy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

std::int64_t num_rows_of(std::span<const SubsetAccuracy> subsets, std::string_view name) {
  const auto it = std::find_if(subsets.begin(), subsets.end(),
                               [&](const SubsetAccuracy& subset) { return subset.name == name; });
  return it == subsets.end() ? 0 : it->num_rows;
}

void put_subset(nlohmann::ordered_json& subsets, const SubsetAccuracy& subset) {
  nlohmann::ordered_json& entry = subsets[subset.name];
  put_estimate(entry, "accuracy", subset.accuracy);
  using Json = nlohmann::ordered_json;
  entry["section"] = subset.section.empty() ? Json() : Json(subset.section);
  entry["num_rows"] = subset.num_rows;
  if (subset.num_correct == std::floor(subset.num_correct)) {
    entry["num_correct"] = std::llround(subset.num_correct);
  } else {
    entry["num_correct"] = subset.num_correct;
  }
  entry["ties"] = subset.ties;
}

std::int64_t num_missing_rows(std::span<const MissingRows> incomplete) {
  std::int64_t count = 0;
  for (const MissingRows& subset : incomplete)
    count += std::max<std::int64_t>(subset.expected_rows - subset.num_rows, 0);
  return count;
}

nlohmann::ordered_json incomplete_json(std::span<const MissingRows> incomplete) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const MissingRows& missing : incomplete) {
    json.push_back({{"subset", missing.subset},
                    {"num_rows", missing.num_rows},
                    {"expected_rows", missing.expected_rows}});
  }
  return json;
}

std::string unknown_subset_warning(const SubsetAccuracy& subset, std::span<const std::string> known,
                                   std::string_view benchmark) {
  return fmt::format(
      "'{}' is no subset of {} (nearest name: {}): its {} rows are excluded from sections and "
      "overall",
      subset.name, benchmark, nearest_names(subset.name, known, 1).front(), subset.num_rows);
}

}  // namespace charm::evaluate
