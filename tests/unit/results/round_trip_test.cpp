#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/results/calibration.h"
#include "charm/results/comparison.h"
#include "charm/results/evaluation.h"
#include "charm/results/explanation.h"
#include "charm/results/fields.h"
#include "charm/results/mismatch.h"
#include "charm/results/ratings.h"
#include "charm/results/world.h"
#include "tests/support/expect_error.h"

namespace charm::results {
namespace {

using Json = nlohmann::ordered_json;

// Through the text of a file.
Json written(const Json& json) { return Json::parse(json.dump(2)); }

Pair made_up_pair(const std::string& policy, const std::string& reference) {
  return {.policy = policy,
          .reference = reference,
          .num_prompts = 80,
          .num_rows = 90,
          .missing_policy = 1,
          .missing_reference = 2,
          .target = {.value = 0.1 + 0.2, .ci95 = Interval{0.25, 0.35}},
          .before = {.win_rate = {.value = 0.7, .ci95 = Interval{0.6, 0.8}},
                     .mismatch = {.value = 0.571428571428571, .ci95 = Interval{0.4, 0.7}},
                     .ties = 3}};
}

Pair measured_pair(const std::string& policy, const std::string& reference) {
  Pair pair = made_up_pair(policy, reference);
  pair.test = MismatchTest{.p_value = 1e-9, .p_value_holm = 2e-9, .p_value_bh = 1e-9};
  return pair;
}

Pair calibrated_pair(const std::string& policy, const std::string& reference) {
  Pair pair = made_up_pair(policy, reference);
  pair.num_rows = 0;
  pair.after = PairRates{.win_rate = {.value = 0.31}, .mismatch = {.value = 1.0 / 70}, .ties = 0};
  pair.residual = 0.01;
  return pair;
}

Mismatch made_up_mismatch() {
  const ArenaRating rating{
      .name = "a", .rating_elo = 1200.5, .rating_lo = 1190.0, .rating_hi = 1210.0};
  return {
      .ties = TieRule::kHalf,
      .seed = std::numeric_limits<std::uint64_t>::max(),
      .bootstrap = 200,
      .num_prompts = 80,
      .policies = {{.policy = "a",
                    .rating = rating,
                    .mean_score = 0.3,
                    .num_scores = 80,
                    .num_errors = 1,
                    .mean_mismatch = Estimate{.value = 0.2, .ci95 = Interval{0.1, 0.3}},
                    .num_prompts = 79,
                    .test =
                        MismatchTest{.p_value = 0.01, .p_value_holm = 0.02, .p_value_bh = 0.015}},
                   {.policy = "b", .rating = {.name = "b", .rating_elo = 1100}}},
      .pairs = {measured_pair("a", "b"), measured_pair("b", "a")},
      .warnings = {"one \"row\""},
      .prompts = "held out"};
}

Calibration made_up_calibration() {
  Calibration calibration;
  calibration.options = {.mode = {.kind = ModeKind::kBlock, .block_rows = 150},
                         .solver = SolverKind::kAdam,
                         .ties = TieRule::kHalf,
                         .weights = PairWeights::kCount,
                         .temperature = 0.2,
                         .shrink = true,
                         .bootstrap = 7,
                         .seed = 3};
  calibration.reference = "b";
  calibration.num_prompts = 80;
  calibration.policies = {
      {.policy = "a",
       .rating = {.name = "a", .rating_elo = 1200, .rating_lo = 1190, .rating_hi = 1211},
       .offset = {.value = -0.8, .ci95 = Interval{-1.0, -0.6}},
       .offset_se = 0.1,
       .offset_interval = Interval{-0.81, -0.79},
       .offset_unshrunk = -0.9,
       .shrinkage = 0.89},
      {.policy = "b", .rating = {.name = "b", .rating_elo = 1100}},
      {.policy = "c", .rating = {.name = "c", .rating_elo = 1000}}};
  calibration.mean = MeanMismatch{.before = 0.3, .after = 0.02, .sampling_noise = 0.04};
  calibration.pairs = {calibrated_pair("a", "b"), calibrated_pair("c", "b")};
  calibration.pairs[0].leverage = 0.6;
  calibration.pairs[0].influence = 0.2;
  calibration.other_pairs = {calibrated_pair("a", "c")};
  calibration.held_out = HeldOut{.share = 0.3,
                                 .num_prompts = 20,
                                 .mean = calibration.mean,
                                 .pairs = {calibrated_pair("a", "b")},
                                 .other_pairs = {}};
  calibration.prior_sd = 0.5;
  const HeldOutPolicyCheck check{.num_prompts = 20,
                                 .before = 0.3,
                                 .after = 0.2,
                                 .with_all = 0.1,
                                 .change_ci95 = Interval{-0.2, 0.0}};
  calibration.held_out_policies = {
      {.policy = "a", .largest_offset_change = 0.1, .fit = check, .held_out = check},
      {.policy = "c", .largest_offset_change = 0.2, .fit = check, .held_out = {}}};
  calibration.warnings = {"few prompts"};
  return calibration;
}

TEST(Results, MismatchIsReadAsItWasWritten) {
  const Json json = written(to_json(made_up_mismatch(), Json::array()));
  const Mismatch read = read_mismatch(json, "m.json");
  EXPECT_EQ(to_json(read, Json::array()).dump(), json.dump());
  EXPECT_EQ(read.pairs[0].before.mismatch.ci95->hi, 0.7);
  EXPECT_TRUE(read.pairs[0].test->is_significant());
  EXPECT_EQ(read.policies[1].rating.rating_elo, 1100);
}

TEST(Results, TheWorldIsReadAsItWasWritten) {
  const World world{
      .about = "a world",
      .how_planted = "by probes",
      .seed = std::numeric_limits<std::uint64_t>::max(),
      .planted = {{.policy = "a", .offset = -0.1, .sd_over_probes = 0.2, .num_probes = 3},
                  {.policy = "b", .offset = 1.0, .sd_over_probes = {}, .num_probes = {}}},
      .recovered_offset = Estimate{.value = -0.15, .ci95 = Interval{-0.2, -0.05}},
      .tables = {
          {.name = "quality", .rows = {{"a", {.value = 0.5}}}},
          {.name = "accuracy", .rows = {{"x", {.value = 1.0, .ci95 = Interval{0.0, 2.0}}}}}}};
  const Json json = written(to_json(world));
  EXPECT_EQ(json["planted_in_interval"], true);
  const World read = read_world(json, "world.json");
  EXPECT_EQ(to_json(read).dump(), json.dump());
  EXPECT_EQ(read.tables.at(1).rows.at(0).second.ci95->hi, 2.0);
  EXPECT_EQ(read.planted.at(1).num_probes, std::nullopt);
  EXPECT_ERROR(kInput, "world.json: has no member 'planted'; expected a file written by charm demo",
               read_world(Json{{"about", "a"}}, "world.json"));
  EXPECT_ERROR(kInput, "world.json: 'more' is 1; expected an object",
               read_world(Json{{"planted", Json::array()}, {"more", 1}}, "world.json"));
}

TEST(Results, CalibrationIsReadAsItWasWritten) {
  const Json json = written(to_json(made_up_calibration(), Json::array()));
  const Calibration read = read_calibration(json, "c.json");
  EXPECT_EQ(to_json(read, Json::array()).dump(), json.dump());
  EXPECT_EQ(read.options.mode.block_rows, 150);
  EXPECT_EQ(read.policies[0].offset.ci95->lo, -1.0);
  EXPECT_EQ(read.pairs[0].influence, 0.2);
  EXPECT_FALSE(json["held_out"]["pairs"][0].contains("influence"));
  EXPECT_EQ(read.held_out_policies[0].held_out->with_all, 0.1);
}

Explanation made_up_explanation() {
  Explanation explanation;
  explanation.reference = "b";
  explanation.ties = TieRule::kHalf;
  explanation.bootstrap = 200;
  explanation.seed = std::numeric_limits<std::uint64_t>::max();
  explanation.min_differing = 10;
  explanation.num_prompts = 80;
  explanation.features = {{"log_length", "natural logarithm"}};
  PairExplanation pair;
  pair.policy = "a";
  pair.reference = "b";
  pair.num_prompts = 80;
  pair.num_rows = 90;
  pair.score_gap = {.value = 0.1 + 0.2, .ci95 = Interval{0.25, 0.35}};
  pair.offset = Estimate{.value = -0.4, .ci95 = Interval{-0.5, -0.3}};
  pair.effects = {{.feature = "log_length",
                   .coefficient = {.value = 0.7, .ci95 = Interval{0.6, 0.8}},
                   .mean_difference = 1.0 / 7,
                   .contribution = {.value = 0.1, .ci95 = {}},
                   .share_of_gap = 0.33,
                   .share_of_offset = {}}};
  pair.dropped = {{.name = "bold", .reason = "it never differs"}};
  pair.explained = {.value = 0.1, .ci95 = Interval{0.0, 0.2}};
  pair.unexplained = {.value = 0.2, .ci95 = {}};
  pair.r_squared = 0.25;
  pair.target_win_rate = 0.6;
  pair.win_rate = Estimate{.value = 0.7, .ci95 = Interval{0.6, 0.8}};
  pair.mismatch = Estimate{.value = 1.0 / 6, .ci95 = Interval{0.1, 0.2}};
  pair.length_matched = MatchedMismatch{.features = {"log_length"},
                                        .effective_rows = 41.5,
                                        .win_rate = {.value = 0.65, .ci95 = {}},
                                        .mismatch = {.value = 0.05, .ci95 = Interval{-0.1, 0.2}}};
  explanation.pairs = {pair};
  explanation.pooled = PooledEffects{
      .effects = {{.feature = "log_length", .coefficient = {.value = 0.5, .ci95 = Interval{0, 1}}}},
      .dropped = {{.name = "lists", .reason = "constant"}},
      .num_rows = 160,
      .num_prompts = 80};
  MethodCheck check{.num_prompts = 80,
                    .mean_abs_mismatch = {.value = 0.2, .ci95 = Interval{0.1, 0.3}},
                    .change = Estimate{.value = -0.1, .ci95 = Interval{-0.2, 0.0}},
                    .sampling_noise = 0.05,
                    .mean_score = Correlations{.spearman = {.value = 0.8, .ci95 = Interval{0, 1}},
                                               .kendall = {.value = 0.6, .ci95 = {}},
                                               .pearson = {.value = 0.7, .ci95 = {}}},
                    .win_rate = {}};
  explanation.methods = {{.name = "none",
                          .meaning = "uncorrected scores",
                          .offsets = {},
                          .fit = check,
                          .held_out = check,
                          .reward_bench = Evaluation{.benchmark = "reward-bench"},
                          .rm_bench = {}},
                         {.name = "offsets",
                          .meaning = "with offsets",
                          .offsets = {{"a", -0.4}, {"b", 0.0}},
                          .fit = check,
                          .held_out = {},
                          .reward_bench = {},
                          .rm_bench = {}}};
  explanation.methods[0].reward_bench->overall.add("overall", 0.75);
  explanation.warnings = {"few prompts"};
  return explanation;
}

TEST(Results, ExplanationIsReadAsItWasWritten) {
  const Json inputs = {{{"path", "a.parquet"}}};
  const Json json = written(to_json(made_up_explanation(), inputs));
  EXPECT_EQ(json["version"], Explanation::kVersion);
  const Explanation back = read_explanation(json, "explain.json");
  EXPECT_EQ(to_json(back, inputs), json);
  EXPECT_EQ(back.pairs[0].score_gap.value, 0.1 + 0.2);
  EXPECT_EQ(back.methods[1].offsets[0].second, -0.4);
  const Json alone = written(to_json(Explanation{}, inputs));
  EXPECT_TRUE(alone["methods"].is_null());
  EXPECT_EQ(to_json(read_explanation(alone, "explain.json"), inputs), alone);
}

TEST(Results, EstimatesAreReadAsTheyWereWritten) {
  Json json;
  put_estimate(json, "plain", Estimate{.value = 0.5});
  put_estimate(json, "with", Estimate{.value = 0.5, .ci95 = Interval{0.25, 0.75}});
  put_estimate(json, "none", Estimate{.value = std::numeric_limits<double>::quiet_NaN()});
  put_estimate(json, "null", Estimate{.value = 1.0}, NoInterval::kNull);
  EXPECT_EQ(json.dump(),
            R"({"plain":0.5,"with":0.5,"with_ci95":[0.25,0.75],"none":null,"null":1.0,)"
            R"("null_ci95":null})");
  const Fields fields(json, "e.json", "charm evaluate");
  EXPECT_FALSE(fields.estimate_at("plain").ci95);
  EXPECT_EQ(fields.estimate_at("with").ci95->hi, 0.75);
  EXPECT_FALSE(fields.find_estimate("none"));
  EXPECT_FALSE(fields.estimate_at("null").ci95);
}

TEST(Results, FilesOfEarlierProgramsAreRead) {
  Json json = to_json(made_up_calibration(), Json::array());
  for (const char* member : {"version", "left_out", "held_out", "mean_abs_mismatch", "interval"})
    json.erase(member);
  const Calibration read = read_calibration(json, "c.json");
  EXPECT_FALSE(read.held_out || read.mean);
  EXPECT_TRUE(read.held_out_policies.empty());
}

TEST(Results, ErrorsNameFileFieldExpectedAndFound) {
  const Json good = to_json(made_up_calibration(), Json::array());
  const auto expect = [&](const std::string& pointer, const Json& value, const std::string& part) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    EXPECT_ERROR(kInput, part, read_calibration(json, "c.json"));
  };
  expect("/version", 2, "c.json: 'version' is 2; expected at most 1");
  expect("/reference", 7, "c.json: 'reference' is 7; expected a string");
  expect("/mode", "other", "c.json: mode: 'other' is unknown; expected same-prompt");
  expect("/policies", "a", "c.json: 'policies' is \"a\"; expected a list");
  expect("/policies/1/offset", nullptr,
         "c.json, policies[1]: 'offset' is null; expected a finite number");
  expect("/policies/0/offset_ci95", Json::array({1}),
         "c.json, policies[0]: 'offset_ci95' is [1]; expected two numbers");
  expect("/pairs/1/win_rate_before", "x",
         "c.json, pairs[1]: 'win_rate_before' is \"x\"; expected a finite number");
  expect("/held_out/pairs/0/policy", 1, "c.json, held_out, pairs[0]: 'policy' is 1");
  expect("/seed", -1, "c.json: 'seed' is -1; expected an integer of 0 or more");
  Json json = to_json(made_up_mismatch(), Json::array());
  json["pairs"][0].erase("mismatch_before");
  EXPECT_ERROR(kInput,
               "m.json, pairs[0]: has no member 'mismatch_before'; expected a file written by "
               "charm measure",
               read_mismatch(json, "m.json"));
}

TEST(Results, RatingsAreReadAsTheyWereWritten) {
  const std::vector<ModelRating> ratings = {{.model = "a",
                                             .rating_elo = 1000.1 + 200.2,
                                             .rating_ci95 = {.lo = 1190.0, .hi = 1210.5},
                                             .rating_se = 5.25,
                                             .num_battles = 40},
                                            {.model = "b", .rating_elo = 800.0}};
  const Json json = written(to_json(ratings));
  std::vector<ModelRating> back;
  for (const Json& entry : json) {
    EXPECT_TRUE(is_model_rating(entry));
    back.push_back(read_model_rating(Fields(entry, "ratings.json", "charm rate")));
  }
  EXPECT_EQ(to_json(back), json);
  Json other = json[0];
  other.erase("rating_se");
  EXPECT_FALSE(is_model_rating(other));
  EXPECT_FALSE(is_model_rating(Json("a")));
}

TEST(Results, EvaluationOfABenchmark) {
  const Json json = Json::parse(R"({
    "version": 1, "benchmark": "rm-bench", "model": "rm", "sampling": {"limit_per_subset": 9, "seed": 4},
    "overall_partial": 0.6, "overall_partial_ci95": [0.5, 0.7], "hard_partial": null, "num_bad_rows": 2,
    "domains": {"chat": {"score": 0.6, "hard": 0.4, "hard_ci95": [0.3, 0.5], "matrix": [[1, 0.5], [0, 1]]}},
    "subsets": {"chat-1": {"accuracy": 0.5}}, "missing_domains": ["math"],
    "incomplete": [{"subset": "x"}], "policies": {"a": {"rating": 1200.5}, "b": {}}})");
  const Evaluation read = read_evaluation(json, "e.json");
  EXPECT_EQ(read.sampling->limit_per_subset, 9);
  EXPECT_EQ(read.overall.find("overall_partial")->ci95->hi, 0.7);
  EXPECT_FALSE(read.overall.find("hard_partial"));
  EXPECT_EQ(read.num_bad_rows, 2);
  EXPECT_EQ(read.section("chat").find("hard")->ci95->lo, 0.3);
  EXPECT_EQ(read.sections[0].matrix[0][1], 0.5);
  EXPECT_EQ(read.subsets.at(0).metrics.find("accuracy")->value, 0.5);
  EXPECT_EQ(read.incomplete->size(), 1u);
  EXPECT_EQ(read.ratings(), (std::map<std::string, double>{{"a", 1200.5}}));
  EXPECT_ERROR(kInput, "no section 'code'", read.section("code"));
}

TEST(Results, ComparisonOfTwoRuns) {
  const Json json = Json::parse(R"({
    "benchmark": "rm-bench", "a": {"name": "rm"}, "b": {"name": "tuned"},
    "overall": {"a": 0.6, "b": 0.7, "difference": 0.1, "difference_ci95": [0.0, 0.2], "gained": 3,
                "lost": 1, "mcnemar": {"p_value": 0.25}, "hard": {"a": 0.4, "b": 0.5, "difference": 0.1}},
    "domains": {"chat": {"difference": 0.2}}})");
  const Comparison read = read_comparison(json, "c.json");
  EXPECT_EQ(read.b.name, "tuned");
  EXPECT_FALSE(read.is_arena());
  const ComparedPart* overall = read.find("overall");
  ASSERT_NE(overall, nullptr);
  EXPECT_EQ(overall->flips->gained, 3);
  EXPECT_EQ(overall->flips->p_value, 0.25);
  EXPECT_EQ(overall->difference->ci95->hi, 0.2);
  EXPECT_EQ(overall->measure("hard")->b->value, 0.5);
  EXPECT_EQ(read.sections.at(0).difference->value, 0.2);
  EXPECT_EQ(read.find("mean_abs_mismatch"), nullptr);
}

}  // namespace
}  // namespace charm::results
