#include "charm/results/mismatch.h"

#include <map>
#include <string_view>
#include <utility>

#include "charm/base/error.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

Json measured_policy_json(const MeasuredPolicy& policy) {
  Json json = rating_json(policy.rating);
  json["policy"] = policy.policy;
  json["mean_score"] = policy.mean_score;
  json["num_scores"] = policy.num_scores;
  json["num_errors"] = policy.num_errors;
  if (policy.mean_mismatch) {
    json["num_prompts"] = policy.num_prompts;
    put_estimate(json, "mean_mismatch", policy.mean_mismatch, NoInterval::kNull);
  }
  if (policy.test) put_test(json, *policy.test, policy.mean_mismatch->value);
  return json;
}

MeasuredPolicy read_measured_policy(const Fields& fields) {
  return {.policy = fields.at<std::string>("policy"),
          .rating = read_rating(fields),
          .mean_score = fields.find_or<double>("mean_score"),
          .num_scores = fields.find_or<std::int64_t>("num_scores"),
          .num_errors = fields.find_or<std::int64_t>("num_errors"),
          .mean_mismatch = fields.find_estimate("mean_mismatch"),
          .num_prompts = fields.find_or<std::int64_t>("num_prompts"),
          .test = read_test(fields)};
}

/// Rows are policies, columns references, both in the order of `policies`; null where there is no
/// pair.
Json matrix_json(const Mismatch& mismatch) {
  std::map<std::pair<std::string_view, std::string_view>, double> cells;
  for (const Pair& pair : mismatch.pairs)
    cells[{pair.policy, pair.reference}] = pair.before.mismatch.value;
  Json matrix = Json::array();
  for (const MeasuredPolicy& policy : mismatch.policies) {
    Json row = Json::array();
    for (const MeasuredPolicy& reference : mismatch.policies) {
      const auto cell = cells.find({policy.policy, reference.policy});
      row.push_back(cell == cells.end() ? Json() : Json(cell->second));
    }
    matrix.push_back(std::move(row));
  }
  return matrix;
}

Json agreement_json(const VoteAgreement& votes) {
  Json json;
  const auto put = [&](const char* name, const Estimate& estimate, std::int64_t count) {
    put_estimate(json, name, estimate, NoInterval::kNull);
    json[std::string("num_") + (name == std::string("accuracy") ? "decided" : name)] = count;
  };
  put("accuracy", votes.accuracy, votes.num_decided);
  put("people", votes.people, votes.num_people);
  put("people_decided", votes.people_decided, votes.num_people_decided);
  json["num_votes"] = votes.num_votes;
  json["num_ties"] = votes.num_ties;
  json["num_judges"] = votes.num_judges;
  return json;
}

VoteAgreement read_agreement(const Fields& fields) {
  const auto count = [&](const char* name) { return fields.find_or<std::int64_t>(name); };
  return {.accuracy = fields.estimate_or_nan("accuracy"),
          .num_decided = count("num_decided"),
          .people = fields.estimate_or_nan("people"),
          .num_people = count("num_people"),
          .people_decided = fields.estimate_or_nan("people_decided"),
          .num_people_decided = count("num_people_decided"),
          .num_votes = count("num_votes"),
          .num_ties = count("num_ties"),
          .num_judges = count("num_judges")};
}

}  // namespace

Json to_json(const Mismatch& mismatch, const Json& inputs) {
  Json json = {
      {"version", Mismatch::kVersion},       {"ties", tie_rule_name(mismatch.ties)},
      {"bootstrap", mismatch.bootstrap},     {"seed", mismatch.seed},
      {"num_prompts", mismatch.num_prompts}, {"inputs", inputs},
      {"policies", Json::array()},           {"pairs", Json::array()},
      {"warnings", mismatch.warnings},       {"matrix", matrix_json(mismatch)},
  };
  for (const MeasuredPolicy& policy : mismatch.policies)
    json["policies"].push_back(measured_policy_json(policy));
  std::int64_t num_flagged = 0;
  for (const Pair& pair : mismatch.pairs) {
    json["pairs"].push_back(to_json(pair));
    num_flagged += pair.test && pair.test->is_significant();
  }
  json["multiplicity"] = {{"num_tests", mismatch.pairs.size()},
                          {"level", kSignificanceLevel},
                          {"flags", "holm"},
                          {"num_flagged", num_flagged}};
  if (mismatch.votes) json["agreement"] = agreement_json(*mismatch.votes);
  if (!mismatch.prompts.empty()) json["prompts"] = mismatch.prompts;
  return json;
}

Mismatch read_mismatch(const Json& json, const std::string& file) {
  const Fields fields(json, file, "charm measure");
  fields.check_version(Mismatch::kVersion);
  Mismatch mismatch{.ties = fields.word_or("ties", parse_tie_rule, TieRule::kLoss),
                    .seed = fields.find_or<std::uint64_t>("seed"),
                    .bootstrap = fields.find_or<std::int64_t>("bootstrap"),
                    .num_prompts = fields.find_or<std::int64_t>("num_prompts"),
                    .policies = {},
                    .pairs = {},
                    .warnings = fields.find_or<std::vector<std::string>>("warnings"),
                    .votes = fields.object("agreement", read_agreement),
                    .prompts = fields.find_or<std::string>("prompts")};
  for (const Fields& policy : fields.at<std::vector<Fields>>("policies"))
    mismatch.policies.push_back(read_measured_policy(policy));
  for (const Fields& pair : fields.at<std::vector<Fields>>("pairs"))
    mismatch.pairs.push_back(read_pair(pair));
  return mismatch;
}

Mismatch read_mismatch(const std::filesystem::path& path) {
  return read_mismatch(read_json(path, "charm measure"), path.string());
}

}  // namespace charm::results
