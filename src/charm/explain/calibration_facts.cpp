#include <algorithm>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/explain/method_comparison.h"

namespace charm::explain {
namespace {

using nlohmann::json;

const json& member(const json& object, const char* name, const std::string& where) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) {
    throw Error(ErrorKind::kInput,
                "{}: has no member '{}'; expected a file written by charm calibrate", where, name);
  }
  return *found;
}

template <typename T>
T value_at(const json& object, const char* name, const std::string& where) {
  try {
    return member(object, name, where).get<T>();
  } catch (const json::exception&) {
    throw Error(ErrorKind::kInput, "{}: '{}' is {}; expected a file written by charm calibrate",
                where, name, object.at(name).dump());
  }
}

std::optional<stats::Interval> interval_at(const json& object, const char* name,
                                           const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  const auto ends = value_at<std::vector<double>>(object, name, where);
  if (ends.size() != 2) {
    throw Error(ErrorKind::kInput, "{}: '{}' is {}; expected two numbers", where, name,
                found->dump());
  }
  return stats::Interval{ends[0], ends[1]};
}

stats::TieRule ties_at(const json& object, const std::string& where) {
  return stats::parse_tie_rule(value_at<std::string>(object, "ties", where));
}

}  // namespace

CalibrationFacts read_calibration_facts(const fs::path& path) try {
  const std::string where = path.string();
  const json file = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!file.is_object())
    throw Error(ErrorKind::kInput, "{}: expected a JSON object, as charm calibrate writes it",
                where);
  CalibrationFacts facts;
  facts.reference = value_at<std::string>(file, "reference", where);
  facts.num_prompts = value_at<std::int64_t>(file, "num_prompts", where);
  facts.solve.mode = calibrate::parse_mode(value_at<std::string>(file, "mode", where));
  facts.solve.solver = calibrate::parse_solver(value_at<std::string>(file, "solver", where));
  facts.solve.weights =
      calibrate::parse_pair_weights(value_at<std::string>(file, "weights", where));
  facts.solve.ties = ties_at(file, where);
  facts.solve.seed = value_at<std::uint64_t>(file, "seed", where);
  if (file.contains("temperature") && file["temperature"].is_number())
    facts.solve.temperature = file["temperature"].get<double>();
  for (const json& policy : member(file, "policies", where)) {
    PolicyOffset offset{.policy = value_at<std::string>(policy, "policy", where),
                        .offset = value_at<double>(policy, "offset", where),
                        .ci95 = interval_at(policy, "offset_ci95", where)};
    ArenaRating rating{.name = offset.policy,
                       .rating_elo = value_at<double>(policy, "rating", where),
                       .rating_lo = {},
                       .rating_hi = {}};
    if (const auto ci95 = interval_at(policy, "rating_ci95", where)) {
      rating.rating_lo = ci95->lo;
      rating.rating_hi = ci95->hi;
    }
    facts.offsets.push_back(std::move(offset));
    facts.ratings.push_back(std::move(rating));
  }
  const bool has_reference =
      std::any_of(facts.offsets.begin(), facts.offsets.end(),
                  [&](const PolicyOffset& one) { return one.policy == facts.reference; });
  if (facts.offsets.size() < 2 || !has_reference) {
    throw Error(ErrorKind::kInput,
                "{}: 'policies' must hold the reference '{}' and at least one other", where,
                facts.reference);
  }
  const auto held_out = file.find("held_out");
  if (held_out != file.end() && held_out->is_object() && held_out->contains("share") &&
      (*held_out)["share"].is_number()) {
    facts.split = Split{.share = value_at<double>(*held_out, "share", where),
                        .seed = value_at<std::uint64_t>(*held_out, "seed", where)};
  }
  return facts;
} catch (const Error& error) {
  // An unknown option value is an input error of the file here.
  if (error.kind() != ErrorKind::kUsage) throw;
  throw Error(ErrorKind::kInput, "{}: {}", path.string(), error.message());
}

}  // namespace charm::explain
