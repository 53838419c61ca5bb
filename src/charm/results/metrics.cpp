#include "charm/results/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUndefinedMetric = std::numeric_limits<double>::quiet_NaN();

// The numbers, with what is no number before the counts.
Json part_json(const BenchmarkPart& part) {
  Json json = Json::object();
  const auto put_others = [&] {
    if (part.section) json["section"] = part.section->empty() ? Json() : Json(*part.section);
    if (!part.matrix.empty()) json["matrix"] = part.matrix;
  };
  const auto& values = part.metrics.values;
  const auto first_count = std::ranges::find(values, true, &Metrics::Entry::is_count);
  put_metrics(json, {{values.begin(), first_count}});
  put_others();
  put_metrics(json, {{first_count, values.end()}});
  if (part.missing) json["missing"] = *part.missing;
  return json;
}

}  // namespace

void Metrics::add(std::string name, const Estimate& value) {
  values.push_back({.name = std::move(name), .value = value});
}

void Metrics::add(std::string name, std::optional<double> value) {
  add(std::move(name), Estimate{.value = value.value_or(kUndefinedMetric), .ci95 = {}});
}

void Metrics::add_count(std::string name, std::int64_t count) {
  values.push_back({.name = std::move(name),
                    .value = {.value = static_cast<double>(count), .ci95 = {}},
                    .is_count = true});
}

std::optional<Estimate> Metrics::find(std::string_view name) const {
  const auto found = std::ranges::find(values, name, &Entry::name);
  if (found == values.end() || std::isnan(found->value.value)) return std::nullopt;
  return found->value;
}

void put_metrics(Json& object, const Metrics& metrics) {
  for (const Metrics::Entry& metric : metrics.values) {
    if (metric.is_count) {
      object[metric.name] = static_cast<std::int64_t>(metric.value.value);
    } else {
      put_estimate(object, metric.name, metric.value);
    }
  }
}

Metrics read_metrics(const std::optional<Fields>& fields,
                     const std::vector<std::string_view>& others) {
  Metrics metrics;
  if (!fields) return metrics;
  for (const auto& [name, value] : fields->json().items()) {
    if (name.ends_with("_ci95") || std::ranges::find(others, name) != others.end()) continue;
    if (value.is_number_integer()) {
      metrics.add_count(name, fields->at<std::int64_t>(name.c_str()));
    } else if (value.is_number()) {
      metrics.add(name, fields->estimate_at(name));
    } else if (value.is_null()) {
      metrics.add(name, std::nullopt);
    }
  }
  return metrics;
}

Json to_json(const std::vector<BenchmarkPart>& parts) {
  Json json = Json::object();
  for (const BenchmarkPart& part : parts) json[part.name] = part_json(part);
  return json;
}

std::vector<BenchmarkPart> read_parts(const std::optional<Fields>& fields) {
  std::vector<BenchmarkPart> parts;
  if (!fields) return parts;
  for (const auto& [name, value] : fields->json().items()) {
    BenchmarkPart part{.name = name};
    if (value.is_number()) {
      part.metrics.add("score", fields->estimate_at(name));
    } else if (value.is_object()) {
      const Fields object = fields->at<Fields>(name.c_str());
      part.metrics = read_metrics(object, {"section"});
      if (value.contains("section")) part.section = object.find_or<std::string>("section");
      part.matrix = object.find_or<std::vector<std::vector<double>>>("matrix");
      part.missing = object.find<std::vector<std::string>>("missing");
    } else {
      continue;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

Json to_json(const Correlations& correlations, NoInterval no_interval) {
  Json json;
  put_estimate(json, "spearman", correlations.spearman, no_interval);
  put_estimate(json, "kendall", correlations.kendall, no_interval);
  put_estimate(json, "pearson", correlations.pearson, no_interval);
  return json;
}

Correlations read_correlations(const Fields& fields) {
  return {.spearman = fields.estimate_or_nan("spearman"),
          .kendall = fields.estimate_or_nan("kendall"),
          .pearson = fields.estimate_or_nan("pearson")};
}

}  // namespace charm::results
