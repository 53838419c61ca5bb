#include "charm/results/mismatch.h"

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

/// Rows are policies, columns references, both in the order of `policies`; null on the diagonal.
Json matrix_json(const Mismatch& mismatch) {
  Json matrix = Json::array();
  std::size_t next = 0;
  for (std::size_t i = 0; i < mismatch.policies.size(); ++i) {
    Json row = Json::array();
    for (std::size_t j = 0; j < mismatch.policies.size(); ++j) {
      row.push_back(i == j ? Json() : Json(mismatch.pairs[next++].before.mismatch.value));
    }
    matrix.push_back(std::move(row));
  }
  return matrix;
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
