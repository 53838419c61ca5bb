// Comparisons of two runs on people's votes and of two audits of best-of-n.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/evaluate/compare.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/stats/vote_table.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::evaluate {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

ScoredVote vote_on(const std::string& prompt, double outcome, float margin) {
  ScoredVote scored;
  scored.vote = {.prompt_id = prompt, .model_a = "x", .model_b = "y", .outcome = outcome};
  scored.score_a = margin;
  return scored;
}

// Prompt p: a is right on two of three, b on one; prompt q: b alone is right, and a tie.
std::vector<ScoredVote> votes_of_run(bool is_b) {
  return {vote_on("p", 1.0, is_b ? -1.0f : 2.0f), vote_on("p", 0.0, is_b ? -1.0f : 2.0f),
          vote_on("p", 1.0, is_b ? -2.0f : 1.0f), vote_on("q", 0.0, is_b ? -3.0f : 1.0f),
          vote_on("q", 0.5, is_b ? 0.0f : 1.0f)};
}

TEST(CompareVotes, MeasuresByHandAndFlipsByPrompt) {
  std::vector<ScoredVote> b = votes_of_run(true);
  std::ranges::reverse(b);  // any order
  const results::Comparison comparison =
      compare_votes(votes_of_run(false), b, {.num_replicates = 100});
  EXPECT_EQ(comparison.num_rows, 5);
  EXPECT_DOUBLE_EQ(comparison.overall[0].a->value, 0.5);  // of four decided votes
  EXPECT_DOUBLE_EQ(comparison.overall[0].b->value, 0.5);
  const auto loss = [](double z, double outcome) { return std::log1p(std::exp(z)) - outcome * z; };
  const double loss_a = (loss(2, 1) + loss(2, 0) + loss(1, 1) + loss(1, 0) + loss(1, 0.5)) / 5;
  const double loss_b = (loss(-1, 1) + loss(-1, 0) + loss(-2, 1) + loss(-3, 0) + loss(0, 0.5)) / 5;
  EXPECT_NEAR(comparison.overall[0].measure("log_loss")->a->value, loss_a, 1e-12);
  EXPECT_NEAR(comparison.overall[0].measure("log_loss")->difference->value, loss_b - loss_a, 1e-12);
  EXPECT_TRUE(comparison.overall[0].measure("log_loss")->difference->ci95);
  EXPECT_FALSE(comparison.overall[0].measure("ece")->difference->ci95);
  const results::Flips& flips = *comparison.overall[0].flips;
  EXPECT_EQ(flips.gained, 2);
  EXPECT_EQ(flips.lost, 2);
  EXPECT_EQ(flips.num_comparisons, 4);
  EXPECT_EQ(flips.num_rows, 2);  // prompts: +1 on q, -1 on p
  const Json json = results::to_json(comparison);
  EXPECT_EQ(json["overall"]["mcnemar"]["test"], "chi-square clustered by prompt");
  EXPECT_EQ(json["num_left_out"], 0);
  EXPECT_TRUE(json["overall"]["log_loss"].contains("difference_ci95"));
  EXPECT_EQ(results::to_json(results::read_comparison(json, "comparison")), json);
  EXPECT_THAT(comparison_text(comparison), HasSubstr("log_loss"));
}

TEST(CompareVotes, ErrorsAreLeftOutAndOtherVotesAreNamed) {
  const std::vector<ScoredVote> a = votes_of_run(false);
  std::vector<ScoredVote> b = votes_of_run(true);
  b[0].error = "too long";
  const results::Comparison comparison = compare_votes(a, b, {.num_replicates = 0});
  EXPECT_EQ(comparison.num_rows, 4);
  EXPECT_EQ(comparison.num_left_out, 1);
  b[3].vote.outcome = 1.0;
  EXPECT_ERROR(kInput, "1 only in A (first: x against y on prompt q, winner model_b)",
               compare_votes(a, b, {.num_replicates = 0}));
  b.resize(3);
  EXPECT_ERROR(kInput, "hold different votes", compare_votes(a, b, {.num_replicates = 0}));
  // The same vote twice is two votes.
  const std::vector<ScoredVote> twice = {a[0], a[0]};
  EXPECT_EQ(compare_votes(twice, twice, {.num_replicates = 0}).num_rows, 2);
  EXPECT_ERROR(kInput, "2 only in A",
               compare_votes(twice, std::vector{b[1]}, {.num_replicates = 0}));
  const std::vector<ScoredVote> ties = {vote_on("p", 0.5, 1.0f)};
  EXPECT_ERROR(kInput, "no decided votes", compare_votes(ties, ties, {.num_replicates = 0}));
}

class CompareRuns : public ::testing::Test {
 protected:
  /// Votes on 40 prompts; run b scores the chosen response higher on more of them.
  fs::path votes(const char* name, int num_right) {
    std::string lines;
    for (int i = 0; i < 40; ++i) {
      lines += Json({{"prompt_id", "p" + std::to_string(i)},
                     {"model_a", "x"},
                     {"model_b", "y"},
                     {"winner", "model_a"},
                     {"score_a", i < num_right ? 1.0 : -1.0},
                     {"score_b", 0.0}})
                   .dump() +
               "\n";
    }
    return folder_.file(name, lines);
  }

  /// Scores of two policies with their texts: `x` has the higher score under `a`.
  fs::path scores(const char* name, double x, double y) {
    std::string lines;
    for (int i = 0; i < 8; ++i) {
      for (const auto& [policy, score] : {std::pair{"x", x}, std::pair{"y", y}}) {
        lines += Json({{"prompt_id", "p" + std::to_string(i)},
                       {"prompt", "q"},
                       {"policy", policy},
                       {"response", std::string(*policy == 'x' ? 10 : 4, 'r')},
                       {"score", score}})
                     .dump() +
                 "\n";
      }
    }
    return folder_.file(name, lines);
  }

  Json compared(const std::vector<fs::path>& runs, std::optional<Benchmark> benchmark = {}) {
    CompareOptions options{.runs = runs, .benchmark = benchmark, .output = folder_ / "c.json"};
    options.bootstrap = 20;
    compare(options);
    return Json::parse(read_file(options.output));
  }

  fs::path evaluated(Benchmark benchmark, const fs::path& file, const fs::path& after,
                     double holdout, const char* name) {
    EvaluateOptions options;
    options.benchmark = benchmark;
    options.scores = {file};
    if (!after.empty()) options.scores_after = {after};
    options.holdout = holdout;
    options.bootstrap = 20;
    options.seed = 3;
    options.model_name = name;
    options.output = folder_ / (std::string(name) + ".json");
    evaluate(options, {});
    return options.output;
  }

  const testing::TempFolder folder_;
};

TEST_F(CompareRuns, OfVotesAsFilesAndAsResults) {
  const fs::path a = votes("a.jsonl", 20), b = votes("b.jsonl", 30);
  Json json = compared({a, b});
  EXPECT_EQ(json["benchmark"], "votes");
  EXPECT_DOUBLE_EQ(json["overall"]["difference"].get<double>(), 0.25);
  EXPECT_EQ(json["overall"]["gained"], 10);
  // Results on held-out prompts are compared on those.
  const fs::path first = evaluated(Benchmark::kVotes, a, "", 0.5, "first");
  json = compared({first, evaluated(Benchmark::kVotes, b, "", 0.5, "second")});
  EXPECT_EQ(json["a"]["name"], "first");
  std::int64_t held_out = 0;
  for (int i = 0; i < 40; ++i)
    held_out += stats::is_held_out({.prompt_id = "p" + std::to_string(i)}, 3, 0.5) ? 1 : 0;
  EXPECT_EQ(json["num_rows"], held_out);
  EXPECT_LT(held_out, 40);
  EXPECT_ERROR(kInput, "evaluate both with the same --holdout and --seed", compared({first, b}));
}

TEST_F(CompareRuns, OfAuditsAsFilesAndAsResults) {
  const fs::path a = scores("a.jsonl", 2.0, 1.0), b = scores("b.jsonl", 1.0, 2.0);
  const Json json = compared({a, b}, Benchmark::kBestOfN);
  const Json& two = json["sections"]["n = 2"];
  EXPECT_DOUBLE_EQ(two["share of x"]["a"].get<double>(), 1.0);
  EXPECT_DOUBLE_EQ(two["share of x"]["difference"].get<double>(), -1.0);
  EXPECT_NEAR(two["length"]["difference"].get<double>(), -6.0, 1e-12);
  EXPECT_FALSE(json["sections"].contains("n = 1"));
  EXPECT_FALSE(two.contains("score"));
  EXPECT_EQ(results::to_json(results::read_comparison(json, "comparison")), json);
  // An audit with scores after correction is a run of those.
  const fs::path before = evaluated(Benchmark::kBestOfN, a, "", 0.0, "before");
  const fs::path after = evaluated(Benchmark::kBestOfN, a, b, 0.0, "after");
  EXPECT_EQ(compared({before, after})["sections"], json["sections"]);
  EXPECT_EQ(compared({before, before})["sections"]["n = 2"]["length"]["difference"], 0.0);
  // Of a version that did not record them.
  Json manifest = Json::parse(read_file(folder_ / "after.json.manifest.json"));
  manifest.erase("scores_after");
  write_file(folder_ / "after.json.manifest.json", manifest.dump());
  EXPECT_ERROR(kInput, "does not say whose scores were audited", compared({before, after}));
}

TEST_F(CompareRuns, OfAuditsOfDifferentResponsesAreRefused) {
  const fs::path a = scores("a.jsonl", 2.0, 1.0);
  std::string fewer = read_file(a);
  fewer.resize(fewer.rfind('\n', fewer.size() - 2) + 1);
  const fs::path b = folder_.file("b.jsonl", fewer);
  EXPECT_ERROR(kInput, "1 only in A (first: policy y, prompt p7, sample 0)",
               compared({a, b}, Benchmark::kBestOfN));
}

}  // namespace
}  // namespace charm::evaluate
