#include "charm/evaluate/subset_accuracy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

std::int64_t num_rows_of(std::span<const SubsetAccuracy> subsets, std::string_view name) {
  const auto it = std::find_if(subsets.begin(), subsets.end(),
                               [&](const SubsetAccuracy& subset) { return subset.name == name; });
  return it == subsets.end() ? 0 : it->num_rows;
}

results::BenchmarkPart part_of(const SubsetAccuracy& subset) {
  results::BenchmarkPart part{.name = subset.name, .section = subset.section};
  part.metrics.add("accuracy", subset.accuracy);
  part.metrics.add_count("num_rows", subset.num_rows);
  if (subset.num_correct == std::floor(subset.num_correct)) {
    part.metrics.add_count("num_correct", std::llround(subset.num_correct));
  } else {
    part.metrics.add("num_correct", subset.num_correct);
  }
  part.metrics.add_count("ties", subset.ties);
  return part;
}

results::BenchmarkPart part_of(const SectionScore& section) {
  results::BenchmarkPart part{.name = section.name};
  part.metrics.add("score", section.score);
  part.metrics.add_count("num_rows", section.num_rows);
  return part;
}

std::string unknown_subset_warning(const SubsetAccuracy& subset, std::span<const std::string> known,
                                   std::string_view benchmark) {
  return fmt::format(
      "'{}' is no subset of {} (nearest name: {}): its {} rows are excluded from sections and "
      "overall",
      subset.name, benchmark, nearest_names(subset.name, known, 1).front(), subset.num_rows);
}

}  // namespace charm::evaluate
