#include "charm/results/evaluation.h"

#include <algorithm>
#include <limits>

#include "charm/base/error.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWriter = "charm evaluate";

Metrics read_metrics(const std::optional<Fields>& fields) {
  Metrics metrics;
  if (!fields) return metrics;
  for (const auto& [name, value] : fields->json().items()) {
    if (value.is_number()) metrics.values.emplace_back(name, fields->estimate_at(name));
  }
  return metrics;
}

// The members of an object that are objects, by name.
std::vector<std::pair<std::string, Fields>> objects_of(const std::optional<Fields>& fields) {
  std::vector<std::pair<std::string, Fields>> objects;
  if (!fields) return objects;
  for (const auto& [name, value] : fields->json().items()) {
    if (value.is_object()) objects.emplace_back(name, fields->at<Fields>(name.c_str()));
  }
  return objects;
}

// Sections are objects with a score, or numbers.
std::vector<BenchmarkPart> read_parts(const std::optional<Fields>& fields) {
  std::vector<BenchmarkPart> parts;
  if (!fields) return parts;
  for (const auto& [name, value] : fields->json().items()) {
    if (value.is_object()) {
      parts.push_back({name, read_metrics(fields->at<Fields>(name.c_str()))});
    } else if (value.is_number()) {
      parts.push_back({name, {{{"score", fields->estimate_at(name)}}}});
    }
  }
  return parts;
}

ComparedPart read_part(const std::string& name, const Fields& fields) {
  ComparedPart part{.name = name,
                    .a = fields.find_estimate("a"),
                    .b = fields.find_estimate("b"),
                    .difference = fields.find_estimate("difference"),
                    .gained = fields.find<std::int64_t>("gained"),
                    .lost = fields.find<std::int64_t>("lost"),
                    .p_value = {},
                    .measures = {}};
  for (const auto& [member, object] : objects_of(fields)) {
    if (member == "mcnemar") {
      part.p_value = object.find<double>("p_value");
    } else {
      part.measures.push_back(read_part(member, object));
    }
  }
  return part;
}

std::vector<ComparedPart> read_compared_parts(const std::optional<Fields>& fields) {
  std::vector<ComparedPart> parts;
  for (const auto& [name, object] : objects_of(fields)) parts.push_back(read_part(name, object));
  return parts;
}

const ComparedPart* find_part(const std::vector<ComparedPart>& parts, std::string_view name) {
  const auto found = std::ranges::find(parts, name, &ComparedPart::name);
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

std::optional<Estimate> Metrics::find(std::string_view name) const {
  for (const auto& [own_name, value] : values) {
    if (own_name == name) return value;
  }
  return std::nullopt;
}

Json to_json(const Correlations& correlations, NoInterval no_interval) {
  Json json;
  put_estimate(json, "spearman", correlations.spearman, no_interval);
  put_estimate(json, "kendall", correlations.kendall, no_interval);
  put_estimate(json, "pearson", correlations.pearson, no_interval);
  return json;
}

Correlations read_correlations(const Fields& fields) {
  const auto estimate = [&](const char* name) {
    return fields.find_estimate(name).value_or(
        Estimate{.value = std::numeric_limits<double>::quiet_NaN(), .ci95 = {}});
  };
  return {.spearman = estimate("spearman"),
          .kendall = estimate("kendall"),
          .pearson = estimate("pearson")};
}

const Metrics& Evaluation::section(const std::string& name) const {
  const auto found = std::ranges::find(sections, name, &BenchmarkPart::name);
  if (found == sections.end())
    throw Error(ErrorKind::kInput, "the result of {} has no section '{}'", benchmark, name);
  return found->metrics;
}

Evaluation read_evaluation(const Json& json, const std::string& file) {
  const Fields fields(json, file, kWriter);
  fields.check_version(kEvaluationVersion);
  Evaluation evaluation;
  evaluation.benchmark = fields.find_or<std::string>("benchmark");
  evaluation.model = fields.find_or<std::string>("model");
  if (const auto sampling = fields.find<Fields>("sampling")) {
    evaluation.sampling = {.limit_per_subset = sampling->at<std::int64_t>("limit_per_subset"),
                           .seed = sampling->at<std::int64_t>("seed")};
  }
  evaluation.overall = read_metrics(fields);
  if (const auto correlations = fields.find<Fields>("correlations")) {
    evaluation.mean_score = read_metrics(correlations->find<Fields>("mean_score"));
    evaluation.win_rate = read_metrics(correlations->find<Fields>("win_rate"));
  }
  for (const char* name : {"sections", "domains"}) {
    for (BenchmarkPart& part : read_parts(fields.find<Fields>(name)))
      evaluation.sections.push_back(std::move(part));
  }
  evaluation.subsets = read_parts(fields.find<Fields>("subsets"));
  evaluation.missing_domains = fields.find_or<std::vector<std::string>>("missing_domains");
  evaluation.num_incomplete =
      static_cast<std::int64_t>(fields.find_or<std::vector<Fields>>("incomplete").size());
  evaluation.pair_probabilities = read_metrics(fields.find<Fields>("pair_probabilities"));
  evaluation.length_correlation = read_metrics(fields.find<Fields>("length_correlation"));
  for (const auto& [policy, entry] : objects_of(fields.find<Fields>("policies"))) {
    if (const auto rating = entry.find<double>("rating")) evaluation.ratings[policy] = *rating;
  }
  for (const char* name : {"without_offsets", "with_offsets", "difference"}) {
    if (const auto part = fields.find<Fields>(name))
      evaluation.predictions.push_back({name, read_metrics(part)});
  }
  for (const Fields& picks : fields.find_or<std::vector<Fields>>("picks"))
    evaluation.picks.push_back(read_picks(picks));
  return evaluation;
}

Evaluation read_evaluation(const std::filesystem::path& path) {
  return read_evaluation(read_json(path, "charm evaluate"), path.string());
}

const ComparedPart* ComparedPart::measure(std::string_view measure_name) const {
  return find_part(measures, measure_name);
}

const ComparedPart* Comparison::find(std::string_view name) const {
  return find_part(overall, name);
}

Comparison read_comparison(const Json& json, const std::string& file) {
  const Fields fields(json, file, kWriter);
  fields.check_version(kEvaluationVersion);
  const auto run_name = [&](const char* run) {
    const auto facts = fields.find<Fields>(run);
    return facts ? facts->find_or<std::string>("name") : std::string();
  };
  Comparison comparison{.benchmark = fields.find_or<std::string>("benchmark"),
                        .name_a = run_name("a"),
                        .name_b = run_name("b"),
                        .overall = {},
                        .sections = {},
                        .correlations = read_compared_parts(fields.find<Fields>("correlations")),
                        .policies = read_compared_parts(fields.find<Fields>("policies"))};
  for (const char* name :
       {"overall", "overall_partial", "mean_abs_mismatch", "mean_abs_mismatch_left_out"}) {
    if (const auto part = fields.find<Fields>(name))
      comparison.overall.push_back(read_part(name, *part));
  }
  for (const char* name : {"sections", "domains"}) {
    for (ComparedPart& part : read_compared_parts(fields.find<Fields>(name)))
      comparison.sections.push_back(std::move(part));
  }
  return comparison;
}

Comparison read_comparison(const std::filesystem::path& path) {
  return read_comparison(read_json(path, "charm evaluate --compare"), path.string());
}

}  // namespace charm::results
