#include "charm/results/pair.h"

#include <cmath>
#include <limits>

#include "charm/base/error.h"
#include "charm/results/fields.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

void put(Json& json, const std::string& name, const Estimate& estimate) {
  put_estimate(json, name, estimate, NoInterval::kNull);
}

PairRates read_rates(const Fields& fields, const std::string& when) {
  return {.win_rate = fields.estimate_at("win_rate_" + when),
          .mismatch = fields.estimate_at("mismatch_" + when),
          .ties = fields.find<std::int64_t>(("ties_" + when).c_str()).value_or(0)};
}

}  // namespace

std::string_view tie_rule_name(TieRule rule) { return rule == TieRule::kLoss ? "loss" : "half"; }

TieRule parse_tie_rule(std::string_view word) {
  if (word == "loss") return TieRule::kLoss;
  if (word == "half") return TieRule::kHalf;
  throw Error(ErrorKind::kUsage, "'{}' is unknown; expected loss or half", word);
}

Json to_json(const Pair& pair) {
  Json json = {
      {"policy", pair.policy}, {"reference", pair.reference}, {"num_prompts", pair.num_prompts}};
  if (pair.test) json["num_rows"] = pair.num_rows;
  json["missing_policy"] = pair.missing_policy;
  json["missing_reference"] = pair.missing_reference;
  put(json, "target_win_rate", pair.target);
  put(json, "win_rate_before", pair.before.win_rate);
  if (pair.after) put(json, "win_rate_after", pair.after->win_rate);
  put(json, "mismatch_before", pair.before.mismatch);
  if (pair.after) put(json, "mismatch_after", pair.after->mismatch);
  json["ties_before"] = pair.before.ties;
  if (pair.agreement) {
    put(json, "agreement", *pair.agreement);
    json["num_decided"] = pair.num_decided;
  }
  if (pair.after) {
    json["ties_after"] = pair.after->ties;
    json["residual"] = pair.residual;
    json["leverage"] = json_or_null(pair.leverage);
    json["influence"] = json_or_null(pair.influence);
  }
  if (pair.test) put_test(json, *pair.test, pair.before.mismatch.value);
  return json;
}

void put_test(Json& object, const MismatchTest& test, double mismatch) {
  object["p_value"] = test.p_value;
  object["p_value_holm"] = test.p_value_holm;
  object["p_value_bh"] = test.p_value_bh;
  object["flag"] =
      test.is_significant() ? Json(mismatch > 0.0 ? kOverValued : kUnderValued) : Json();
}

std::optional<MismatchTest> read_test(const Fields& fields) {
  const auto p_value = fields.find<double>("p_value");
  if (!p_value) return std::nullopt;
  return MismatchTest{.p_value = *p_value,
                      .p_value_holm = fields.at<double>("p_value_holm"),
                      .p_value_bh = fields.at<double>("p_value_bh")};
}

Pair read_pair(const Fields& fields) {
  const auto count = [&](const char* name) { return fields.find_or<std::int64_t>(name); };
  Pair pair{.policy = fields.at<std::string>("policy"),
            .reference = fields.at<std::string>("reference"),
            .num_prompts = count("num_prompts"),
            .num_rows = count("num_rows"),
            .missing_policy = count("missing_policy"),
            .missing_reference = count("missing_reference"),
            .target = fields.estimate_at("target_win_rate"),
            .before = read_rates(fields, "before"),
            .test = read_test(fields),
            .agreement = fields.find_estimate("agreement"),
            .num_decided = count("num_decided"),
            .after = {},
            .residual = fields.find_or<double>("residual"),
            .leverage = fields.find<double>("leverage"),
            .influence = fields.find<double>("influence")};
  if (fields.find<double>("win_rate_after")) pair.after = read_rates(fields, "after");
  return pair;
}

Json rating_json(const ArenaRating& rating) {
  const bool has_interval = rating.rating_lo && rating.rating_hi;
  return {
      {"policy", rating.name},
      {"rating", rating.rating_elo},
      {"rating_ci95", has_interval ? Json::array({*rating.rating_lo, *rating.rating_hi}) : Json()}};
}

ArenaRating read_rating(const Fields& fields) {
  ArenaRating rating{.name = fields.at<std::string>("policy"),
                     .rating_elo = fields.find<double>("rating").value_or(
                         std::numeric_limits<double>::quiet_NaN()),
                     .rating_lo = {},
                     .rating_hi = {}};
  if (const auto ci95 = fields.find<Interval>("rating_ci95")) {
    rating.rating_lo = ci95->lo;
    rating.rating_hi = ci95->hi;
  }
  return rating;
}

}  // namespace charm::results
