#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/compare.h"

namespace charm::evaluate {
namespace {

using nlohmann::ordered_json;

void put_metric(ordered_json& object, const ComparedMetric& metric) {
  put_estimate(object, "a", metric.a);
  put_estimate(object, "b", metric.b);
  put_estimate(object, "difference", metric.difference);
}

void put_flips(ordered_json& object, const Flips& flips, bool is_one_of_many) {
  object["num_rows"] = flips.num_rows;
  if (flips.num_comparisons != flips.num_rows) object["num_comparisons"] = flips.num_comparisons;
  object["gained"] = flips.gained;
  object["lost"] = flips.lost;
  ordered_json& test = object["mcnemar"];
  test["test"] = flips.num_comparisons != flips.num_rows ? "chi-square clustered by row"
                 : flips.test.statistic                  ? "chi-square with continuity correction"
                                                         : "exact binomial";
  if (flips.test.statistic) test["statistic"] = *flips.test.statistic;
  test["p_value"] = flips.test.p_value;
  if (is_one_of_many) test["p_value_holm"] = flips.p_value_holm;
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

ordered_json to_json(const Comparison& comparison) {
  ordered_json json;
  json["num_rows"] = comparison.num_rows;
  const std::string overall = comparison.is_complete ? "overall" : "overall_partial";
  const bool is_arena = comparison.benchmark == Benchmark::kArena;
  const char* sections = is_arena                                      ? "correlations"
                         : comparison.benchmark == Benchmark::kRmBench ? "domains"
                                                                       : "sections";
  if (is_arena) json["num_left_out"] = comparison.num_excluded;
  for (const ComparedMetric& compared : comparison.metrics) {
    const Metric& metric = compared.metric;
    ordered_json* part = is_arena ? &json : &json[overall];
    if (metric.part == Metric::Part::kSection) {
      part = &json[sections][metric.name];
    } else if (metric.part == Metric::Part::kSubset) {
      part = &json[is_arena ? "policies" : "subsets"][metric.name];
    }
    put_metric(metric.measure == "score" ? *part : (*part)[metric.measure], compared);
    const Flips* flips = flips_of(comparison, metric);
    if (flips != nullptr && metric.measure == "score") {
      put_flips(*part, *flips, metric.part == Metric::Part::kSubset);
    }
  }
  return json;
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
