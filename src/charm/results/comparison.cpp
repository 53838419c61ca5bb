#include "charm/results/comparison.h"

#include <algorithm>
#include <array>

#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kOverallParts = {"overall", "overall_partial", "mean_abs_mismatch",
                                      "mean_abs_mismatch_left_out"};

void put_flips(Json& json, const Flips& flips) {
  json["num_rows"] = flips.num_rows;
  if (flips.num_comparisons) json["num_comparisons"] = *flips.num_comparisons;
  json["gained"] = flips.gained;
  json["lost"] = flips.lost;
  Json& test = json["mcnemar"] = {{"test", flips.test}};
  if (flips.statistic) test["statistic"] = *flips.statistic;
  test["p_value"] = flips.p_value;
  if (flips.p_value_holm) test["p_value_holm"] = *flips.p_value_holm;
}

std::optional<Flips> read_flips(const Fields& fields) {
  const auto test = fields.find<Fields>("mcnemar");
  if (!test) return std::nullopt;
  return Flips{.num_rows = fields.find_or<std::int64_t>("num_rows"),
               .num_comparisons = fields.find<std::int64_t>("num_comparisons"),
               .gained = fields.find_or<std::int64_t>("gained"),
               .lost = fields.find_or<std::int64_t>("lost"),
               .test = test->find_or<std::string>("test"),
               .statistic = test->find<double>("statistic"),
               .p_value = test->find_or<double>("p_value", 1.0),
               .p_value_holm = test->find<double>("p_value_holm")};
}

void put_compared(Json& json, const char* name, const std::optional<Estimate>& estimate) {
  json[name] = nullptr;
  if (estimate) put_estimate(json, name, estimate);
}

Json compared_json(const ComparedPart& part) {
  Json json = Json::object();
  if (part.a || part.b || part.difference || part.flips || part.measures.empty()) {
    put_compared(json, "a", part.a);
    put_compared(json, "b", part.b);
    put_compared(json, "difference", part.difference);
  }
  if (part.flips) put_flips(json, *part.flips);
  for (const ComparedPart& measure : part.measures) json[measure.name] = compared_json(measure);
  return json;
}

ComparedPart read_part(const std::string& name, const Fields& fields) {
  ComparedPart part{.name = name,
                    .a = fields.find_estimate("a"),
                    .b = fields.find_estimate("b"),
                    .difference = fields.find_estimate("difference"),
                    .flips = read_flips(fields),
                    .measures = {}};
  for (const auto& [member, value] : fields.json().items()) {
    if (value.is_object() && member != "mcnemar")
      part.measures.push_back(read_part(member, fields.at<Fields>(member.c_str())));
  }
  return part;
}

void put_compared_parts(Json& json, const char* name, const std::vector<ComparedPart>& parts) {
  for (const ComparedPart& part : parts) json[name][part.name] = compared_json(part);
}

std::vector<ComparedPart> read_compared_parts(const Fields& fields, const char* name) {
  std::vector<ComparedPart> parts;
  const auto list = fields.find<Fields>(name);
  if (!list) return parts;
  for (const auto& [part, value] : list->json().items()) {
    if (value.is_object()) parts.push_back(read_part(part, list->at<Fields>(part.c_str())));
  }
  return parts;
}

Comparison::Run read_run(const Fields& fields, const char* name) {
  const auto run = fields.find<Fields>(name);
  if (!run) return {};
  return {.name = run->find_or<std::string>("name"), .path = run->find_or<std::string>("run")};
}

const ComparedPart* find_part(const std::vector<ComparedPart>& parts, std::string_view name) {
  const auto found = std::ranges::find(parts, name, &ComparedPart::name);
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

const ComparedPart* ComparedPart::measure(std::string_view measure_name) const {
  return find_part(measures, measure_name);
}

const ComparedPart* Comparison::find(std::string_view name) const {
  return find_part(overall, name);
}

Json to_json(const Comparison& comparison) {
  Json json = {{"version", Evaluation::kVersion},
               {"benchmark", comparison.benchmark},
               {"a", {{"name", comparison.a.name}, {"run", comparison.a.path}}},
               {"b", {{"name", comparison.b.name}, {"run", comparison.b.path}}},
               {"num_rows", comparison.num_rows}};
  if (comparison.num_left_out) json["num_left_out"] = *comparison.num_left_out;
  const char* sections = comparison.benchmark == "rm-bench" ? "domains" : "sections";
  put_compared_parts(json, "subsets", comparison.subsets);
  put_compared_parts(json, sections, comparison.sections);
  put_compared_parts(json, "correlations", comparison.correlations);
  for (const ComparedPart& part : comparison.overall) json[part.name] = compared_json(part);
  put_compared_parts(json, "policies", comparison.policies);
  json["bootstrap"] = {{"draws", comparison.bootstrap.draws}, {"seed", comparison.bootstrap.seed}};
  return json;
}

Comparison read_comparison(const Json& json, const std::string& file) {
  const Fields fields(json, file, "charm evaluate");
  fields.check_version(Evaluation::kVersion);
  Comparison comparison{.benchmark = fields.find_or<std::string>("benchmark"),
                        .a = read_run(fields, "a"),
                        .b = read_run(fields, "b"),
                        .num_rows = fields.find_or<std::int64_t>("num_rows"),
                        .num_left_out = fields.find<std::int64_t>("num_left_out"),
                        .overall = {},
                        .sections = {},
                        .subsets = read_compared_parts(fields, "subsets"),
                        .correlations = read_compared_parts(fields, "correlations"),
                        .policies = read_compared_parts(fields, "policies"),
                        .bootstrap = {}};
  for (const char* name : kOverallParts) {
    if (const auto part = fields.find<Fields>(name))
      comparison.overall.push_back(read_part(name, *part));
  }
  for (const char* name : {"sections", "domains"}) {
    for (ComparedPart& part : read_compared_parts(fields, name))
      comparison.sections.push_back(std::move(part));
  }
  if (const auto bootstrap = fields.find<Fields>("bootstrap")) {
    comparison.bootstrap = {.draws = bootstrap->find_or<std::int64_t>("draws"),
                            .seed = bootstrap->find_or<std::uint64_t>("seed")};
  }
  return comparison;
}

Comparison read_comparison(const std::filesystem::path& path) {
  return read_comparison(read_json(path, "charm evaluate --compare"), path.string());
}

}  // namespace charm::results
