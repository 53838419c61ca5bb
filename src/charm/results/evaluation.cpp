#include "charm/results/evaluation.h"

#include <algorithm>
#include <array>

#include "charm/base/error.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kPredictions = {"without_offsets", "with_offsets", "difference"};

Json metrics_json(const Metrics& metrics) {
  Json json = Json::object();
  put_metrics(json, metrics);
  return json;
}

Json missing_json(const MissingRows& missing) {
  return {{"subset", missing.subset},
          {"num_rows", missing.num_rows},
          {"expected_rows", missing.expected_rows}};
}

MissingRows read_missing(const Fields& fields) {
  return {.subset = fields.at<std::string>("subset"),
          .num_rows = fields.find_or<std::int64_t>("num_rows"),
          .expected_rows = fields.find_or<std::int64_t>("expected_rows")};
}

void put_pairs(Json& json, const PairNumbers& pairs) {
  Json probabilities = metrics_json(pairs.probabilities);
  probabilities["bins"] = list_json(pairs.bins, metrics_json);
  probabilities["margin_histogram"] = {
      {"bin_width", pairs.bin_width}, {"edges", pairs.edges}, {"counts", pairs.counts}};
  Json length = metrics_json(pairs.length);
  if (!pairs.probabilities_of_subsets.empty()) {
    probabilities["subsets"] = to_json(pairs.probabilities_of_subsets);
    length["subsets"] = to_json(pairs.length_of_subsets);
  }
  json["pair_probabilities"] = std::move(probabilities);
  json["length_correlation"] = std::move(length);
}

std::optional<PairNumbers> read_pairs_of_texts(const Fields& fields) {
  const auto probabilities = fields.find<Fields>("pair_probabilities");
  const auto length = fields.find<Fields>("length_correlation");
  if (!probabilities || !length) return std::nullopt;
  PairNumbers pairs{.probabilities = read_metrics(probabilities), .length = read_metrics(length)};
  for (const Fields& bin : probabilities->find_or<std::vector<Fields>>("bins"))
    pairs.bins.push_back(read_metrics(bin));
  if (const auto margins = probabilities->find<Fields>("margin_histogram")) {
    pairs.bin_width = margins->at<double>("bin_width");
    pairs.edges = margins->at<std::vector<double>>("edges");
    for (const double count : margins->at<std::vector<double>>("counts"))
      pairs.counts.push_back(static_cast<std::int64_t>(count));
  }
  pairs.probabilities_of_subsets = read_parts(probabilities->find<Fields>("subsets"));
  pairs.length_of_subsets = read_parts(length->find<Fields>("subsets"));
  return pairs;
}

// Arena, votes and best-of-n have no sections.
bool has_sections(const Evaluation& evaluation) {
  return evaluation.mean_score.values.empty() && evaluation.predictions.empty() &&
         evaluation.picks.empty();
}

}  // namespace

std::int64_t num_missing_rows(const std::vector<MissingRows>& incomplete) {
  std::int64_t count = 0;
  for (const MissingRows& subset : incomplete)
    count += std::max<std::int64_t>(subset.expected_rows - subset.num_rows, 0);
  return count;
}

const Metrics& Evaluation::section(const std::string& name) const {
  const auto found = std::ranges::find(sections, name, &BenchmarkPart::name);
  if (found == sections.end())
    throw Error(ErrorKind::kInput, "the result of {} has no section '{}'", benchmark, name);
  return found->metrics;
}

std::map<std::string, double> Evaluation::ratings() const {
  std::map<std::string, double> ratings;
  for (const BenchmarkPart& policy : policies) {
    if (const auto rating = policy.metrics.find("rating")) ratings[policy.name] = rating->value;
  }
  return ratings;
}

Json numbers_json(const Evaluation& evaluation) {
  Json json = Json::object();
  if (!evaluation.mean_score.values.empty()) {
    json["correlations"] = {{"mean_score", metrics_json(evaluation.mean_score)},
                            {"win_rate", metrics_json(evaluation.win_rate)}};
  }
  put_metrics(json, evaluation.overall);
  if (!evaluation.temperature_source.empty())
    json["temperature_source"] = evaluation.temperature_source;
  const bool is_rm_bench = evaluation.benchmark == "rm-bench";
  if (has_sections(evaluation)) {
    json[is_rm_bench ? "domains" : "sections"] = to_json(evaluation.sections);
    json["subsets"] = to_json(evaluation.subsets);
  }
  if (!evaluation.ties_subset.values.empty())
    json["ties_subset"] = metrics_json(evaluation.ties_subset);
  if (evaluation.missing_sections)
    json[is_rm_bench ? "missing_domains" : "missing_sections"] = *evaluation.missing_sections;
  if (evaluation.incomplete) {
    json["incomplete"] = list_json(*evaluation.incomplete, missing_json);
    json["num_missing_rows"] = num_missing_rows(*evaluation.incomplete);
  }
  for (const BenchmarkPart& part : evaluation.predictions)
    json[part.name] = metrics_json(part.metrics);
  if (!evaluation.policies.empty()) json["policies"] = to_json(evaluation.policies);
  for (const PicksOfN& picks : evaluation.picks) json["picks"].push_back(to_json(picks));
  if (evaluation.warnings) json["warnings"] = *evaluation.warnings;
  if (evaluation.holdout) json["holdout"] = *evaluation.holdout;
  if (evaluation.pairs) put_pairs(json, *evaluation.pairs);
  return json;
}

Json to_json(const Evaluation& evaluation) {
  Json json = {{"version", Evaluation::kVersion},
               {"benchmark", evaluation.benchmark},
               {"model", evaluation.model}};
  if (evaluation.sampling) {
    json["sampling"] = {{"limit_per_subset", evaluation.sampling->limit_per_subset},
                        {"seed", evaluation.sampling->seed}};
  }
  json.update(numbers_json(evaluation));
  json["num_bad_rows"] = evaluation.num_bad_rows;
  json["bootstrap"] = {{"draws", evaluation.bootstrap.draws}, {"seed", evaluation.bootstrap.seed}};
  return json;
}

Evaluation read_evaluation(const Json& json, const std::string& file) {
  const Fields fields(json, file, "charm evaluate");
  fields.check_version(Evaluation::kVersion);
  Evaluation evaluation;
  evaluation.benchmark = fields.find_or<std::string>("benchmark");
  evaluation.model = fields.find_or<std::string>("model");
  if (const auto sampling = fields.find<Fields>("sampling")) {
    evaluation.sampling = {.limit_per_subset = sampling->at<std::int64_t>("limit_per_subset"),
                           .seed = sampling->at<std::uint64_t>("seed")};
  }
  if (const auto correlations = fields.find<Fields>("correlations")) {
    evaluation.mean_score = read_metrics(correlations->find<Fields>("mean_score"));
    evaluation.win_rate = read_metrics(correlations->find<Fields>("win_rate"));
  }
  evaluation.overall =
      read_metrics(fields, {"version", "num_missing_rows", "holdout", "num_bad_rows"});
  evaluation.temperature_source = fields.find_or<std::string>("temperature_source");
  for (const char* name : {"sections", "domains"}) {
    for (BenchmarkPart& part : read_parts(fields.find<Fields>(name)))
      evaluation.sections.push_back(std::move(part));
  }
  evaluation.subsets = read_parts(fields.find<Fields>("subsets"));
  evaluation.ties_subset = read_metrics(fields.find<Fields>("ties_subset"));
  for (const char* name : {"missing_sections", "missing_domains"}) {
    if (auto missing = fields.find<std::vector<std::string>>(name))
      evaluation.missing_sections = std::move(missing);
  }
  if (fields.find<std::vector<Fields>>("incomplete"))
    evaluation.incomplete = fields.list("incomplete", read_missing);
  for (const char* name : kPredictions) {
    if (const auto part = fields.find<Fields>(name)) {
      evaluation.predictions.push_back({.name = name, .metrics = read_metrics(part)});
    }
  }
  evaluation.policies = read_parts(fields.find<Fields>("policies"));
  evaluation.picks = fields.list("picks", read_picks);
  evaluation.warnings = fields.find<std::vector<std::string>>("warnings");
  evaluation.holdout = fields.find<double>("holdout");
  evaluation.pairs = read_pairs_of_texts(fields);
  evaluation.num_bad_rows = fields.find_or<std::int64_t>("num_bad_rows");
  if (const auto bootstrap = fields.find<Fields>("bootstrap")) {
    evaluation.bootstrap = {.draws = bootstrap->find_or<std::int64_t>("draws"),
                            .seed = bootstrap->find_or<std::uint64_t>("seed")};
  }
  return evaluation;
}

Evaluation read_evaluation(const std::filesystem::path& path) {
  return read_evaluation(read_json(path, "charm evaluate"), path.string());
}

}  // namespace charm::results
