#include "charm/results/calibration.h"

#include <algorithm>
#include <limits>

#include "charm/base/error.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

Json calibrated_policy_json(const CalibratedPolicy& policy) {
  Json json = rating_json(policy.rating);
  json["policy"] = policy.policy;
  json["offset"] = policy.offset.value;
  json["offset_se"] = json_or_null(policy.offset_se);
  json["offset_ci95"] = interval_json(policy.offset.ci95);
  json["offset_interval"] = interval_json(policy.offset_interval);
  json["offset_unshrunk"] = json_or_null(policy.offset_unshrunk);
  json["shrinkage"] = json_or_null(policy.shrinkage);
  return json;
}

CalibratedPolicy read_calibrated_policy(const Fields& fields) {
  return {.policy = fields.at<std::string>("policy"),
          .rating = read_rating(fields),
          .offset = fields.estimate_at("offset"),
          .offset_se = fields.find<double>("offset_se"),
          .offset_interval = fields.find<Interval>("offset_interval"),
          .offset_unshrunk = fields.find<double>("offset_unshrunk"),
          .shrinkage = fields.find<double>("shrinkage")};
}

// `is_fit`: with the diagnostics of the fit.
Json pairs_json(const std::vector<Pair>& pairs, bool is_fit) {
  Json json = Json::array();
  for (const Pair& pair : pairs) {
    json.push_back(to_json(pair));
    if (is_fit) continue;
    json.back().erase("leverage");
    json.back().erase("influence");
  }
  return json;
}

Json mean_json(const std::optional<MeanMismatch>& mean) {
  if (!mean) return nullptr;
  return {{"before", mean->before}, {"after", mean->after}, {"by_chance", mean->sampling_noise}};
}

MeanMismatch read_mean(const Fields& fields) {
  return {.before = fields.at<double>("before"),
          .after = fields.at<double>("after"),
          .sampling_noise = fields.at<double>("by_chance")};
}

Json held_out_json(const HeldOut& held_out, std::uint64_t seed) {
  const bool is_split = held_out.share > 0.0;
  return {{"share", is_split ? Json(held_out.share) : Json()},
          {"seed", is_split ? Json(seed) : Json()},
          {"num_prompts", held_out.num_prompts},
          {"mean_abs_mismatch", mean_json(held_out.mean)},
          {"pairs", pairs_json(held_out.pairs, /*is_fit=*/false)},
          {"other_pairs", pairs_json(held_out.other_pairs, /*is_fit=*/false)}};
}

HeldOut read_held_out(const Fields& fields) {
  return {.share = fields.find_or<double>("share"),
          .num_prompts = fields.find_or<std::int64_t>("num_prompts"),
          .mean = fields.object("mean_abs_mismatch", read_mean),
          .pairs = fields.list("pairs", read_pair),
          .other_pairs = fields.list("other_pairs", read_pair)};
}

Json check_json(const HeldOutPolicyCheck& check) {
  return {{"num_prompts", check.num_prompts},
          {"before", check.before},
          {"after", check.after},
          {"change", check.after - check.before},
          {"change_ci95", interval_json(check.change_ci95)},
          {"with_all", check.with_all}};
}

HeldOutPolicyCheck read_check(const Fields& fields) {
  return {.num_prompts = fields.find_or<std::int64_t>("num_prompts"),
          .before = fields.at<double>("before"),
          .after = fields.at<double>("after"),
          .with_all = fields.at<double>("with_all"),
          .change_ci95 = fields.find<Interval>("change_ci95")};
}

// null where leave-one-out was not requested.
Json held_out_policies_json(const std::vector<HeldOutPolicy>& policies) {
  if (policies.empty()) return nullptr;
  return list_json(policies, [](const HeldOutPolicy& one) -> Json {
    return {{"policy", one.policy},
            {"largest_offset_move", one.largest_offset_change},
            {"fit", check_json(one.fit)},
            {"held_out", one.held_out ? check_json(*one.held_out) : Json()}};
  });
}

HeldOutPolicy read_held_out_policy(const Fields& fields) {
  return {.policy = fields.at<std::string>("policy"),
          .largest_offset_change = fields.find_or<double>("largest_offset_move"),
          .fit = read_check(fields.at<Fields>("fit")),
          .held_out = fields.object("held_out", read_check)};
}

SolveOptions read_options(const Fields& fields) {
  const SolveOptions defaults;
  const Mode mode = fields.word_or("mode", parse_mode, defaults.mode);
  return {.mode = mode,
          .solver = fields.word_or("solver", parse_solver, defaults.solver),
          .ties = mode.kind == ModeKind::kVotes
                      ? TieRule::kHalf
                      : fields.word_or("ties", parse_tie_rule, defaults.ties),
          .weights = fields.word_or("weights", parse_pair_weights, defaults.weights),
          .temperature = fields.find_or("temperature", defaults.temperature),
          .shrink = fields.find<Fields>("shrink").has_value(),
          .bootstrap = fields.find_or("bootstrap", defaults.bootstrap),
          .seed = fields.find_or("seed", defaults.seed)};
}

// null where the mode has no sigmoid.
Json temperature_json(const Calibration& calibration) {
  if (calibration.votes) return calibration.votes->temperature.value;
  if (calibration.options.mode.kind == ModeKind::kSamePrompt) return nullptr;
  return calibration.options.temperature;
}

void put_votes(const VoteFit& votes, Json& json) {
  json["temperature_se"] = votes.temperature_se;
  json["temperature_ci95"] = interval_json(votes.temperature.ci95);
  if (votes.tie_parameter)
    put_estimate(json, "tie_parameter", votes.tie_parameter, NoInterval::kNull);
  json["style_control"] = votes.style;
  json["style"] = Json::object();
  for (const StyleWeight& one : votes.style_weights) {
    json["style"][one.feature] = {{"weight", one.weight.value},
                                  {"weight_se", one.se},
                                  {"weight_ci95", interval_json(one.weight.ci95)},
                                  {"sd", one.sd}};
  }
  json["cluster"] = votes.cluster;
  json["votes"] = {{"num_votes", votes.num_votes},   {"num_ties", votes.num_ties},
                   {"num_judges", votes.num_judges}, {"num_clusters", votes.num_clusters},
                   {"log_loss", votes.log_loss},     {"rating_prior", votes.has_rating_prior},
                   {"holdout", votes.holdout}};
}

VoteFit read_votes(const Fields& fields) {
  VoteFit votes{.ties = fields.at<std::string>("ties"),
                .cluster = fields.find_or<std::string>("cluster", "prompt"),
                .interval = fields.find_or<std::string>("interval", "sandwich"),
                .temperature = fields.estimate_at("temperature"),
                .temperature_se = fields.find_or<double>("temperature_se"),
                .tie_parameter = fields.find_estimate("tie_parameter"),
                .style = fields.find_or<std::string>("style_control", "none"),
                .style_weights = {}};
  if (!(votes.temperature.value > 0.0)) {
    throw Error(ErrorKind::kInput, "{}: 'temperature' is {}, expected a positive number",
                fields.where(), votes.temperature.value);
  }
  const auto style = fields.find<Fields>("style");
  const Json weights = style ? style->json() : Json::object();
  for (const auto& [name, object] : weights.items()) {
    const Fields weight = style->at<Fields>(name.c_str());
    votes.style_weights.push_back({.feature = name,
                                   .weight = weight.estimate_at("weight"),
                                   .se = weight.find_or<double>("weight_se"),
                                   .sd = weight.find_or<double>("sd")});
  }
  if (const auto counts = fields.find<Fields>("votes")) {
    votes.num_votes = counts->find_or<std::int64_t>("num_votes");
    votes.num_ties = counts->find_or<std::int64_t>("num_ties");
    votes.num_judges = counts->find_or<std::int64_t>("num_judges");
    votes.num_clusters = counts->find_or<std::int64_t>("num_clusters");
    votes.log_loss = counts->find_or<double>("log_loss");
    votes.has_rating_prior = counts->json().value("rating_prior", false);
    votes.holdout = counts->find_or<double>("holdout");
  }
  return votes;
}

void check_policies(const Calibration& calibration, const std::string& file) {
  const auto& policies = calibration.policies;
  if (policies.size() < 2) {
    throw Error(ErrorKind::kInput, "{}: 'policies' must list at least two policies", file);
  }
  const auto count_of = [&](const std::string& name) {
    return std::ranges::count(policies, name, &CalibratedPolicy::policy);
  };
  for (std::size_t i = 0; i < policies.size(); ++i) {
    if (count_of(policies[i].policy) == 1) continue;
    throw Error(ErrorKind::kInput, "{}, policies[{}]: policy '{}' occurs twice", file, i,
                policies[i].policy);
  }
  if (count_of(calibration.reference) == 0) {
    throw Error(ErrorKind::kInput, "{}: the reference '{}' is not among the policies", file,
                calibration.reference);
  }
}

/// {policy: offset}; throws kInput where only some members are numbers.
bool is_plain_offsets(const Json& json, const std::string& file) {
  if (!json.is_object() || json.empty()) return false;
  for (const char* member : {"policies", "mode", "version"}) {
    if (json.contains(member)) return false;  // a result, whole or not
  }
  const auto is_number = [](const Json& value) { return value.is_number(); };
  if (std::none_of(json.begin(), json.end(), is_number)) return false;
  for (const auto& [policy, value] : json.items()) {
    if (value.is_number()) continue;
    throw Error(ErrorKind::kInput,
                "{}: the offset of policy '{}' is {}, expected a number in score units: the result "
                "of charm calibrate, or a map {{policy: offset}}",
                file, policy, value.is_structured() ? value.type_name() : value.dump());
  }
  return true;
}

// Scores of published reward models, and so their offsets, stay within two digits; Elo ratings do
// not.
constexpr double kLeastRating = 400.0;

/// The reference is the first policy with offset 0, or empty. Throws kInput for ratings.
Calibration calibration_of_offsets(const Json& json, const std::string& file) {
  if (std::all_of(json.begin(), json.end(),
                  [](const Json& value) { return value.get<double>() >= kLeastRating; })) {
    throw Error(ErrorKind::kInput,
                "{}: all numbers are {} or more: these are ratings, not offsets in score units; "
                "charm calibrate makes offsets of them",
                file, kLeastRating);
  }
  Calibration calibration;
  for (const auto& [policy, value] : json.items()) {
    const double offset = value.get<double>();
    calibration.policies.push_back(
        {.policy = policy,
         .rating = {.name = policy,
                    .rating_elo = std::numeric_limits<double>::quiet_NaN(),
                    .rating_lo = {},
                    .rating_hi = {}},
         .offset = {.value = offset, .ci95 = {}},
         .offset_se = {},
         .offset_interval = {},
         .offset_unshrunk = {},
         .shrinkage = {}});
    if (calibration.reference.empty() && offset == 0.0) calibration.reference = policy;
  }
  return calibration;
}

}  // namespace

Json to_json(const Calibration& calibration, const Json& inputs) {
  const SolveOptions& options = calibration.options;
  Json json = {
      {"version", Calibration::kVersion},
      {"mode", mode_name(options.mode)},
      {"solver", solver_name(options.solver)},
      {"ties",
       calibration.votes ? calibration.votes->ties : std::string(tie_rule_name(options.ties))},
      {"weights", pair_weights_name(options.weights)},
      {"temperature", temperature_json(calibration)},
      {"shrink", calibration.prior_sd ? Json{{"prior_sd", *calibration.prior_sd}} : Json()},
      {"interval", calibration.votes ? calibration.votes->interval : "bootstrap"},
      {"bootstrap", options.bootstrap},
      {"seed", options.seed},
      {"reference", calibration.reference},
      {"num_prompts", calibration.num_prompts},
      {"inputs", inputs},
      {"policies", list_json(calibration.policies, calibrated_policy_json)},
      {"mean_abs_mismatch", mean_json(calibration.mean)},
      {"pairs", pairs_json(calibration.pairs, /*is_fit=*/true)},
      {"other_pairs", pairs_json(calibration.other_pairs, /*is_fit=*/true)},
      {"held_out",
       calibration.held_out ? held_out_json(*calibration.held_out, options.seed) : Json()},
      {"left_out", held_out_policies_json(calibration.held_out_policies)},
      {"warnings", calibration.warnings},
  };
  if (calibration.votes) put_votes(*calibration.votes, json);
  return json;
}

Calibration read_calibration(const Json& json, const std::string& file) {
  if (is_plain_offsets(json, file)) return calibration_of_offsets(json, file);
  const Fields fields(json, file, "charm calibrate");
  fields.check_version(Calibration::kVersion);
  Calibration calibration;
  calibration.options = read_options(fields);
  calibration.reference = fields.at<std::string>("reference");
  calibration.num_prompts = fields.find_or<std::int64_t>("num_prompts");
  for (const Fields& policy : fields.at<std::vector<Fields>>("policies"))
    calibration.policies.push_back(read_calibrated_policy(policy));
  calibration.mean = fields.object("mean_abs_mismatch", read_mean);
  calibration.pairs = fields.list("pairs", read_pair);
  calibration.other_pairs = fields.list("other_pairs", read_pair);
  calibration.held_out = fields.object("held_out", read_held_out);
  if (const auto shrink = fields.find<Fields>("shrink"))
    calibration.prior_sd = shrink->at<double>("prior_sd");
  calibration.held_out_policies = fields.list("left_out", read_held_out_policy);
  if (calibration.options.mode.kind == ModeKind::kVotes) calibration.votes = read_votes(fields);
  calibration.warnings = fields.find_or<std::vector<std::string>>("warnings");
  check_policies(calibration, file);
  return calibration;
}

Calibration read_calibration(const std::filesystem::path& path) {
  return read_calibration(read_json(path, "charm calibrate"), path.string());
}

}  // namespace charm::results
