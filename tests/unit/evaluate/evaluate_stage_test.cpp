#include "charm/evaluate/evaluate_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/records/eval_item.h"
#include "charm/records/response.h"
#include "charm/storage/journal.h"
#include "charm/storage/record_writer.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

class EvaluateStage : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_evaluate_stage_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    options_.output = folder_ / "eval" / "my-rm" / "result.json";
  }
  void TearDown() override { fs::remove_all(folder_); }

  nlohmann::json result() const { return nlohmann::json::parse(read_file(options_.output)); }

  /// The result from saved scores under the same options.
  nlohmann::json recomputed(const fs::path& scores) const {
    EvaluateOptions recompute = options_;
    recompute.model_dir.clear();
    recompute.data.clear();
    recompute.scores = {scores};
    recompute.model_name = "chat";
    recompute.output = folder_ / "again.json";
    evaluate(recompute, {});
    return nlohmann::json::parse(read_file(recompute.output));
  }

  ErrorKind kind_of_failure() const {
    try {
      evaluate(options_, {});
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::kInternal;
  }

  fs::path folder_;
  EvaluateOptions options_;
};

TEST_F(EvaluateStage, RewardBenchFromSavedScores) {
  const std::vector<ScoredEvalItem> rows = {pair_row("donotanswer", "1", "p", 2, 1),
                                            pair_row("donotanswer", "2", "q", 1, 1)};
  storage::write_eval_scores(folder_ / "saved.jsonl", rows, storage::EvalShape::kPair);
  options_.scores = {folder_ / "saved.jsonl"};
  options_.bootstrap = 50;
  const EvaluateResult done = evaluate(options_, {});
  EXPECT_FALSE(done.overall.has_value());
  const nlohmann::json json = result();
  EXPECT_EQ(json["benchmark"], "reward-bench");
  EXPECT_EQ(json["model"], "my-rm");
  EXPECT_EQ(json["sections"]["Safety"]["score"], 0.5);
  EXPECT_EQ(json["ties"], 1);
  EXPECT_TRUE(fs::exists(options_.output.parent_path() / "eval-set" / "my-rm.json"));
  EXPECT_TRUE(fs::exists(options_.output.parent_path() / "eval-set-scores" / "my-rm.json"));
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));
}

TEST_F(EvaluateStage, RmBenchFromSavedScores) {
  options_.benchmark = Benchmark::kRmBench;
  const std::vector<ScoredEvalItem> rows = {
      style_row("chat", "1", "p", {9, 9, 9}, {0, 0, 0}),
      style_row("math", "1", "q", {9, 9, 9}, {0, 0, 0}),
      style_row("code", "1", "r", {9, 9, 9}, {0, 0, 0}),
      style_row("safety-refuse", "1", "s", {0, 0, 0}, {9, 9, 9})};
  storage::write_eval_scores(folder_ / "saved.parquet", rows, storage::EvalShape::kLists);
  options_.scores = {folder_ / "saved.parquet"};
  EXPECT_DOUBLE_EQ(*evaluate(options_, {}).overall, 0.75);
  EXPECT_EQ(result()["domains"]["safety"]["score"], 0.0);
}

TEST_F(EvaluateStage, RewardBench2FromSavedScoresInBothFormats) {
  options_.benchmark = Benchmark::kRewardBench2;
  std::vector<ScoredEvalItem> rows = {list_row("Ties", "ref:0", "p", {2}, {1}),
                                      list_row("Ties", "tied:0", "q", {3, 3}, {1, 0})};
  for (const char* subset : {"Factuality", "Precise IF", "Math", "Safety", "Focus"}) {
    rows.push_back(list_row(subset, "0", subset, {2}, {1, 2, 0}));
  }
  nlohmann::json results[2];
  for (int i = 0; i < 2; ++i) {
    options_.scores = {folder_ / (i == 0 ? "saved.jsonl" : "saved.parquet")};
    storage::write_eval_scores(options_.scores[0], rows, storage::EvalShape::kSubsetLists);
    // Ties: right in both forms, no spread: 0.3 + 0.3 + 0.2 + 0.2. The others: a best score shared
    // by two.
    EXPECT_DOUBLE_EQ(*evaluate(options_, {}).overall, (1.0 + 5 * 0.5) / 6);
    results[i] = result();
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0]["ties"], 5);
  EXPECT_EQ(results[0]["ties_subset"]["preferred_hard"], 1.0);
  EXPECT_TRUE(fs::exists(options_.output.parent_path() / "eval-set-scores" / "my-rm.json"));
}

TEST_F(EvaluateStage, ArenaFromScoresFiles) {
  options_.benchmark = Benchmark::kArena;
  for (int policy = 0; policy < 3; ++policy) {
    std::vector<ScoredResponse> rows;
    for (int i = 0; i < 4; ++i) {
      ScoredResponse row;
      row.response.prompt_id = std::to_string(i);
      row.response.prompt = {{"user", "p"}};
      row.response.response = "r";
      row.response.policy = "policy" + std::to_string(policy);
      row.score = static_cast<float>(policy + i);
      rows.push_back(std::move(row));
    }
    options_.scores.push_back(folder_ / ("policy" + std::to_string(policy) + ".parquet"));
    storage::write_scores(options_.scores.back(), rows);
  }
  options_.ratings = folder_ / "ratings.json";
  write_file(options_.ratings, R"({"policy0": 1000, "policy1": 1100, "policy2": 1250})");
  evaluate(options_, {});
  EXPECT_DOUBLE_EQ(result()["correlations"]["win_rate"]["spearman"].get<double>(), 1.0);
  EXPECT_DOUBLE_EQ(result()["correlations"]["mean_score"]["kendall"].get<double>(), 1.0);
  EXPECT_EQ(result()["policies"]["policy2"]["rating"], 1250.0);

  // Another category or alias is another result, and the manifest says so.
  write_file(options_.ratings, R"({
    "full": {"policy0": {"rating": 1000}, "policy1": {"rating": 1100}, "other": {"rating": 1300}},
    "coding": {"policy0": {"rating": 1010}, "policy1": {"rating": 1110}, "other": {"rating": 900}}})");
  options_.aliases = {{"policy2", "other"}};
  for (const char* category : {"full", "coding"}) {
    options_.ratings_category = category;
    evaluate(options_, {});
    EXPECT_EQ(result()["policies"]["policy2"]["rating"],
              category == std::string("full") ? 1300.0 : 900.0);
    const auto manifest =
        nlohmann::json::parse(read_file(options_.output.string() + ".manifest.json"));
    EXPECT_EQ(manifest["options"]["category"], category);
    EXPECT_EQ(manifest["options"]["alias"], nlohmann::json({{"policy2", "other"}}));
  }
}

TEST_F(EvaluateStage, ScoresWithAModelOnceAndRecomputesWithout) {
  options_.model_dir = charm::test::kSourceDir + std::string("/tests/data/golden/models/chat");
  options_.model.dtype = engine::DTypeChoice::kFloat32;
  options_.data = {folder_ / "rows.jsonl"};
  options_.bootstrap = 20;
  write_file(
      options_.data[0],
      R"({"id": 1, "subset": "hep-go", "prompt": "Add two.", "chosen": "a + b", "rejected": ""})"
      "\n"
      R"({"id": 1, "subset": "donotanswer", "prompt": "No?", "chosen": "No.", "rejected": "No."})"
      "\n");
  int num_reports = 0;
  const ProgressFn count = [&](const Progress&) { ++num_reports; };
  const EvaluateResult first = evaluate(options_, count);
  EXPECT_EQ(first.num_rows, 2);
  EXPECT_EQ(first.num_bad_rows, 0);
  EXPECT_EQ(first.save_scores, folder_ / "eval" / "my-rm" / "result.scores.parquet");
  EXPECT_FALSE(fs::exists(storage::journal_path(first.save_scores)));
  const nlohmann::json scored = result();
  EXPECT_EQ(scored["model"], "chat");
  EXPECT_EQ(scored["ties"], 1);  // the same text twice

  num_reports = 0;
  evaluate(options_, count);
  EXPECT_EQ(num_reports, 0);  // saved scores were taken
  EXPECT_EQ(result(), scored);

  EXPECT_EQ(recomputed(first.save_scores), scored);
}

TEST_F(EvaluateStage, RewardBench2WithAModel) {
  options_.benchmark = Benchmark::kRewardBench2;
  options_.model_dir = charm::test::kSourceDir + std::string("/tests/data/golden/models/chat");
  options_.model.dtype = engine::DTypeChoice::kFloat32;
  options_.data = {folder_ / "test.jsonl"};
  options_.bootstrap = 0;
  write_file(
      options_.data[0],
      R"({"id": "0", "subset": "Focus", "prompt": "Add two.", "chosen": ["a + b"], )"
      R"("rejected": ["a", "b", ""], "num_correct": 1, "num_incorrect": 3, "models": ["m"]})"
      "\n"
      R"({"id": "ref:3", "subset": "Ties", "prompt": "One?", "chosen": ["1"], "rejected": ["2"]})"
      "\n"
      R"({"id": "tied:3", "subset": "Ties", "prompt": "Some?", "chosen": ["1", "2"], "rejected": ["no"]})"
      "\n");
  const EvaluateResult done = evaluate(options_, {});
  EXPECT_EQ(done.num_rows, 3);
  const nlohmann::json scored = result();
  EXPECT_EQ(scored["subsets"].size(), 2u);
  EXPECT_EQ(recomputed(done.save_scores), scored);
}

TEST_F(EvaluateStage, AMissingModelLeavesNoOutput) {
  options_.model_dir = folder_ / "no-model";
  options_.data = {folder_ / "rows.jsonl"};
  write_file(options_.data[0],
             R"({"id": 1, "subset": "hep-go", "prompt": "p", "chosen": "a", "rejected": "b"})"
             "\n");
  EXPECT_ERROR(kIo, "no-model", evaluate(options_, {}));
  EXPECT_FALSE(fs::exists(options_.output));
}

TEST_F(EvaluateStage, RefusesContradictoryOptions) {
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);  // neither a model nor scores
  options_.scores = {folder_ / "saved.parquet"};
  options_.model_dir = folder_ / "model";
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);  // both
  options_.model_dir.clear();
  options_.ratings = folder_ / "ratings.json";
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);  // ratings without arena
  options_.ratings.clear();
  options_.benchmark = Benchmark::kArena;
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);  // arena without ratings
}

TEST(ParseBenchmark, NamesTheKnownOnes) {
  EXPECT_EQ(parse_benchmark("rm-bench"), Benchmark::kRmBench);
  try {
    parse_benchmark("reward-bench-3");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(),
                testing::HasSubstr("reward-bench (version 1), reward-bench-2, rm-bench, "));
  }
}

}  // namespace
}  // namespace charm::evaluate
