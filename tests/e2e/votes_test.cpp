// People's votes through score, measure, calibrate, prefer, evaluate and report.

#include "charm/storage/votes.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Votes : public SmallWorld {
 protected:
  Votes() { num_prompts_ = 240; }  // of which at least 30 differ

  void SetUp() override {
    SmallWorld::SetUp();
    score_all();
    write_votes();
  }

  /// Votes on the world's responses that follow rm's own scores, with a bias against one policy.
  void write_votes() {
    std::vector<std::vector<ScoredResponse>> policies;
    for (const std::string& file : all_scores())
      policies.push_back(storage::read_scored_responses(file, {}));
    RandomStream random(5, "votes");
    std::string text;
    double spread = 0.0;
    for (std::size_t i = 0; i < policies[0].size(); ++i)
      spread += std::abs(policies[0][i].score - policies[1][i].score);
    spread /= static_cast<double>(policies[0].size());
    for (int vote = 0; vote < 1500; ++vote) {
      const std::size_t a = random.below(policies.size());
      const std::size_t b = (a + 1 + random.below(policies.size() - 1)) % policies.size();
      const std::size_t row = random.below(policies[a].size());
      const ScoredResponse& one = policies[a][row];
      const ScoredResponse& other = policies[b][row];
      const double bias = (a == 0 ? -1.0 : 0.0) + (b == 0 ? 1.0 : 0.0);
      const double z = (one.score - other.score) / (0.3 * spread) + bias;
      const bool wins = random.uniform() < 1.0 / (1.0 + std::exp(-z));
      text += json{{"model_a", one.response.policy},
                   {"model_b", other.response.policy},
                   {"winner", vote % 9 == 0 ? "tie"
                              : wins        ? "model_a"
                                            : "model_b"},
                   {"judge", "j" + std::to_string(vote % 50)},
                   {"prompt", one.response.prompt.back().content},
                   {"response_a", one.response.response},
                   {"response_b", other.response.response}}
                  .dump() +
              "\n";
    }
    write_file(path("raw.jsonl"), text);
  }

  json read(const std::string& name) const { return json::parse(read_file(path(name))); }
};

TEST_F(Votes, GoThroughEveryStage) {
  const std::vector<std::string> score = {"score",
                                          "--model",
                                          path("rm"),
                                          "--votes",
                                          path("raw.jsonl"),
                                          "--output",
                                          path("votes.parquet"),
                                          "--dtype",
                                          "float32"};
  Outcome outcome = run_charm(score);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("1500 votes (0 without scores"));
  const auto votes = storage::read_scored_votes(path("votes.parquet"), {}, /*with_styles=*/true);
  ASSERT_EQ(votes.size(), 1500u);
  // A vote's scores are those of the responses, bit for bit.
  std::map<std::string, std::set<float>> scores_of;  // a prompt may be there twice
  for (const std::string& file : all_scores()) {
    for (const ScoredResponse& row : storage::read_scored_responses(file, {}))
      scores_of[row.response.policy + "/" + prompt_id_of(row.response.prompt)].insert(row.score);
  }
  for (const ScoredVote& vote : votes) {
    EXPECT_TRUE(scores_of.at(vote.vote.model_a + "/" + vote.vote.prompt_id).contains(vote.score_a));
    EXPECT_TRUE(scores_of.at(vote.vote.model_b + "/" + vote.vote.prompt_id).contains(vote.score_b));
  }
  outcome = run_charm(score);
  EXPECT_THAT(outcome.out, HasSubstr("output is complete already"));

  outcome = run_charm({"measure", "--votes", path("votes.parquet"), "--output",
                       path("mismatch/rm.json"), "--bootstrap", "50", "--ties", "half"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("agreement with people"));
  const json mismatch = read("mismatch/rm.json");
  EXPECT_EQ(mismatch["agreement"]["num_votes"], 1500);
  EXPECT_GT(mismatch["agreement"]["accuracy"], 0.6);
  EXPECT_EQ(mismatch["pairs"].size(), 12u);

  const std::string reference = votes[0].vote.model_a;
  const std::string calibration = path("calibration/rm/votes.json");
  outcome = run_charm({"calibrate", "--votes", path("votes.parquet"), "--reference", reference,
                       "--style", "fastchat", "--ties", "davidson", "--holdout", "0.3",
                       "--min-prompts", "15", "--bootstrap", "50", "--output", calibration});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("temperature"));
  const json result = read("calibration/rm/votes.json");
  EXPECT_EQ(result["mode"], "votes");
  EXPECT_TRUE(result["style"].contains("length"));
  EXPECT_GT(result["held_out"]["num_prompts"], 5);

  outcome = run_charm(join({{"prefer", "--calibration", calibration, "--output",
                             path("preferences.parquet"), "--scores"},
                            all_scores()}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  outcome = run_charm(join({{"explain", "--calibration", calibration, "--bootstrap", "20",
                             "--output", path("explanation/rm/votes.json"), "--scores"},
                            all_scores()}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;

  const auto evaluate = [&](const std::vector<std::string>& more) {
    return run_charm(join(
        {{"evaluate", "--benchmark", "votes", "--scores", path("votes.parquet"), "--calibration",
          calibration, "--bootstrap", "50", "--output", path("eval/rm/votes.json")},
         more}));
  };
  outcome = evaluate({"--holdout", "0.3"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("fitted to these votes")));
  EXPECT_TRUE(read("eval/rm/votes.json")["difference"].contains("log_loss_ci95"));
  outcome = evaluate({});
  EXPECT_LT(read("eval/rm/votes.json")["difference"]["log_loss"], 0.0);  // the fit minimises it
  EXPECT_THAT(outcome.err, HasSubstr("fitted to these votes"));

  outcome =
      run_charm(join({{"evaluate", "--benchmark", "best-of-n", "--calibration", calibration,
                       "--bootstrap", "50", "--output", path("eval/rm/best-of-n.json"), "--scores"},
                      all_scores()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json audit = read("eval/rm/best-of-n.json");
  EXPECT_EQ(audit["picks"].size(), 3u);  // 1, 2, 4 policies
  EXPECT_TRUE(audit["picks"][2]["policies"][reference].contains("implied"));

  outcome = run_charm({"evaluate", "--compare", path("eval/rm/votes.json"), path("votes.parquet"),
                       "--bootstrap", "50", "--output", path("compared.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read("compared.json")["overall"]["difference"], 0.0);
  outcome = run_charm({"evaluate", "--benchmark", "best-of-n", "--compare", path("scores"),
                       path("scores"), "--bootstrap", "50"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("n = 4, share of " + reference));

  outcome = run_charm({"report", "--run", dir_.string(), "--output", path("report.html")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(Votes, RunInARecipe) {
  std::string recipe =
      "run_dir: run\nseed: 1\nholdout: 0.3\nvotes: raw.jsonl\nratings: world/ratings.json\n"
      "score: {model: rm, dtype: float32, max_tokens: 256}\n"
      "measure: {bootstrap: 20, min_prompts: 10}\n"
      "calibrate:\n  reference: helper\n  bootstrap: 20\n  min_prompts: 10\n"
      "  sets:\n    by-ratings: {}\n    by-votes: {votes: true, style: fastchat}\n"
      "evaluate:\n  - {benchmark: votes, bootstrap: 20}\n"
      "  - {benchmark: best-of-n, bootstrap: 20, calibration: by-votes}\n"
      "explain: {bootstrap: 20, min_prompts: 10, min_differing: 5}\n"
      "report: {cases: 4}\n"
      "policies:\n";
  for (const char* policy : {"helper", "intern", "scholar", "showman"})
    recipe += fmt::format("  - {{name: {0}, responses: world/responses/{0}.jsonl}}\n", policy);
  write_file(path("votes.yaml"), recipe);
  Outcome outcome = run_charm({"run", path("votes.yaml")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read("run/mismatch/rm.votes.json")["agreement"]["num_votes"], 1500);
  EXPECT_EQ(read("run/mismatch/rm.json")["pairs"].size(), 12u);
  const json calibration = read("run/calibration/rm/by-votes.json");
  EXPECT_EQ(calibration["mode"], "votes");
  EXPECT_EQ(calibration["votes"]["holdout"], 0.3);
  EXPECT_EQ(read("run/calibration/rm/by-ratings.json")["mode"], "same-prompt");
  const json votes = read("run/eval/rm/votes.json");
  EXPECT_EQ(votes["holdout"], 0.3);
  EXPECT_TRUE(votes.contains("with_offsets"));
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("fitted to these votes")));
  EXPECT_TRUE(read("run/eval/rm/best-of-n.json")["picks"][1].contains("same_pick"));
  const std::string report = read_file(path("run/report.html"));
  for (const char* group :
       {"md%2Frm.votes", "offsets%2Frm%2Fby-votes", "held-out%2Frm%2Fby-votes",
        "held-out%2Frm%2Fby-ratings", "eval%2Frm%2Fvotes", "eval%2Frm%2Fbest-of-n"}) {
    EXPECT_THAT(report, HasSubstr(std::string("#cases=") + group));
  }
  outcome = run_charm({"run", path("votes.yaml"), "--dry-run"});
  EXPECT_THAT(outcome.out, HasSubstr("0 steps to do, 18 kept"));

  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& part) {
    std::string wrong = recipe;
    wrong.replace(wrong.find(from), from.size(), to);
    write_file(path("wrong.yaml"), wrong);
    expect_failure({"run", path("wrong.yaml")}, 3, {"wrong.yaml", part});
  };
  refused("votes: raw.jsonl\n", "", "has no 'votes'");
  refused("votes: true, style", "rating_prior: true, style", "rating_prior");
  refused("calibration: by-votes", "calibration: by-hand", "'by-hand' is no set");
  refused("{benchmark: votes, ", "{benchmark: votes, data: raw.jsonl, ", "remove 'data'");
}

TEST_F(Votes, AreRefusedByName) {
  write_file(path("bare.jsonl"), R"({"model_a": "x", "model_b": "y", "winner": "model_a"})"
                                 "\n");
  expect_failure({"score", "--model", path("rm"), "--votes", path("bare.jsonl"), "--output",
                  path("v.parquet")},
                 3, {"bare.jsonl:1", "the vote has no texts"}, path("v.parquet"));
  expect_failure({"score", "--model", path("rm"), "--output", path("v.parquet")}, 2,
                 {"--responses, or --votes"}, path("v.parquet"));
  expect_failure(
      {"calibrate", "--votes", path("raw.jsonl"), "--reference", "x", "--output", path("c.json")},
      3, {"raw.jsonl:1", "prompt_id"}, path("c.json"));
  expect_failure({"measure", "--votes", path("raw.jsonl"), "--ratings", path("raw.jsonl"),
                  "--output", path("m.json")},
                 2, {"--ratings has no meaning with --votes"}, path("m.json"));
}

}  // namespace
}  // namespace charm::e2e
