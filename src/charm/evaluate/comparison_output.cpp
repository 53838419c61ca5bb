#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/compare.h"

namespace charm::evaluate {
namespace {

results::Flips written_flips(const Flips& flips, std::string_view cluster, bool is_one_of_many) {
  const bool is_clustered = flips.num_comparisons != flips.num_rows;
  results::Flips written{.num_rows = flips.num_rows,
                         .num_comparisons = {},
                         .gained = flips.gained,
                         .lost = flips.lost,
                         .test = is_clustered ? fmt::format("chi-square clustered by {}", cluster)
                                 : flips.test.statistic ? "chi-square with continuity correction"
                                                        : "exact binomial",
                         .statistic = flips.test.statistic,
                         .p_value = flips.test.p_value,
                         .p_value_holm = {}};
  if (is_clustered) written.num_comparisons = flips.num_comparisons;
  if (is_one_of_many) written.p_value_holm = flips.p_value_holm;
  return written;
}

std::optional<Estimate> defined(const Estimate& estimate) {
  return std::isnan(estimate.value) ? std::nullopt : std::optional(estimate);
}

// The part of this name, added at the end if it is new.
results::ComparedPart& part_named(const std::string& name,
                                  std::vector<results::ComparedPart>& parts) {
  const auto found = std::ranges::find(parts, name, &results::ComparedPart::name);
  if (found != parts.end()) return *found;
  parts.push_back({.name = name});
  return parts.back();
}

const Flips* find(const std::map<std::string, Flips>& flips, const std::string& name) {
  const auto it = flips.find(name);
  return it == flips.end() ? nullptr : &it->second;
}

const Flips* flips_of(const Comparison& comparison, const Metric& metric) {
  switch (metric.part) {
    case Metric::Part::kSection:
      return find(comparison.section_flips, metric.name);
    case Metric::Part::kSubset:
      return find(comparison.subset_flips, metric.name);
    case Metric::Part::kOverall:
      break;
  }
  return comparison.overall_flips ? &*comparison.overall_flips : nullptr;
}

std::string label_of(const Comparison& comparison, const Metric& metric) {
  std::string label = metric.name;
  if (metric.part == Metric::Part::kOverall) {
    if (comparison.benchmark == Benchmark::kArena)
      label = "all policies";
    else if (comparison.benchmark == Benchmark::kVotes)
      label = metric.measure == "score" ? "accuracy" : "votes";
    else
      label = comparison.is_complete ? "overall" : "overall of the parts present";
  }
  if (metric.measure != "score") label += ", " + metric.measure;
  return metric.part == Metric::Part::kSubset ? "  " + label : label;
}

std::string signed_text(const Estimate& difference) {
  if (!std::isfinite(difference.value)) return "undefined";
  return difference.ci95 ? fmt::format("{:+.4f} [{:+.4f}, {:+.4f}]", difference.value,
                                       difference.ci95->lo, difference.ci95->hi)
                         : fmt::format("{:+.4f}", difference.value);
}

std::string value_text(const Estimate& value) {
  return std::isfinite(value.value) ? fmt::format("{:.4f}", value.value) : "undefined";
}

}  // namespace

results::Comparison comparison_of(const Comparison& comparison) {
  results::Comparison written{.benchmark = std::string(benchmark_name(comparison.benchmark)),
                              .num_rows = comparison.num_rows,
                              .num_left_out = {}};
  const bool is_arena = comparison.benchmark == Benchmark::kArena;
  const bool is_votes = comparison.benchmark == Benchmark::kVotes;
  if (is_arena || is_votes || comparison.benchmark == Benchmark::kBestOfN)
    written.num_left_out = comparison.num_excluded;
  const std::string overall = comparison.is_complete ? "overall" : "overall_partial";
  for (const ComparedMetric& compared : comparison.metrics) {
    const Metric& metric = compared.metric;
    results::ComparedPart* part = nullptr;
    if (metric.part == Metric::Part::kSection) {
      part = &part_named(metric.name, is_arena ? written.correlations : written.sections);
    } else if (metric.part == Metric::Part::kSubset) {
      part = &part_named(metric.name, is_arena ? written.policies : written.subsets);
    } else {
      part = &part_named(is_arena ? metric.measure : overall, written.overall);
    }
    const bool is_measure =
        metric.measure != "score" && !(is_arena && metric.part == Metric::Part::kOverall);
    const Flips* flips = flips_of(comparison, metric);
    if (flips != nullptr && metric.measure == "score")
      part->flips =
          written_flips(*flips, is_votes ? "prompt" : "row", metric.part == Metric::Part::kSubset);
    if (is_measure) part = &part_named(metric.measure, part->measures);
    part->a = defined(compared.a);
    part->b = defined(compared.b);
    part->difference = defined(compared.difference);
  }
  return written;
}

std::string comparison_text(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows = {
      {"", "rows", "A", "B", "B - A", "gained", "lost", "p"}};
  using Part = Metric::Part;
  for (const Part part : {Part::kSubset, Part::kSection, Part::kOverall}) {
    for (const ComparedMetric& compared : comparison.metrics) {
      const Metric& metric = compared.metric;
      if (metric.part != part) continue;
      const Flips* flips = metric.measure == "score" ? flips_of(comparison, metric) : nullptr;
      rows.push_back({label_of(comparison, metric), flips ? std::to_string(flips->num_rows) : "",
                      value_text(compared.a), value_text(compared.b),
                      signed_text(compared.difference), flips ? std::to_string(flips->gained) : "",
                      flips ? std::to_string(flips->lost) : "",
                      flips ? fmt::format("{:.3g}", flips->test.p_value) : ""});
    }
  }
  return text_table(rows);
}

}  // namespace charm::evaluate
