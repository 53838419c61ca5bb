// Invalid data: exit code, a one-line error that names it, no output.

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

class BadFiles : public SmallWorld {
 protected:
  std::vector<std::string> score(const std::vector<std::string>& files) {
    return join({{"score", "--model", path("rm"), "--output", path("out"), "--responses"}, files});
  }
  std::vector<std::string> measure(const std::vector<std::string>& files,
                                   const std::string& ratings = "world/ratings.json") {
    return join(
        {{"measure", "--ratings", path(ratings), "--output", path("mismatch.json"), "--scores"},
         files});
  }
};

TEST_F(BadFiles, BrokenJsonNamesTheLine) {
  const std::string good = "{\"prompt\": \"a\", \"response\": \"b\"}\n";
  write_file(path("broken.jsonl"), good + good + "{\"prompt\": \"a\", \"resp\n" + good);
  expect_failure(score({path("broken.jsonl")}), 3, {"broken.jsonl:3"}, path("out/broken.parquet"));
}

TEST_F(BadFiles, BrokenLinesCanBeSkipped) {
  const std::string good = "{\"prompt\": \"a\", \"response\": \"b\"}\n";
  write_file(path("broken.jsonl"), good + "{\n" + good);
  const Outcome outcome = run_charm(join({score({path("broken.jsonl")}), {"--max-bad-rows", "1"}}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(BadFiles, ABrokenFirstLineCanBeSkipped) {
  write_file(path("broken.jsonl"), "broken\n{\"prompt\": \"a\", \"response\": \"b\"}\n");
  const Outcome outcome = run_charm(join({score({path("broken.jsonl")}), {"--max-bad-rows", "1"}}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(BadFiles, ColumnsTwiceNameTheLine) {
  write_file(path("twice.jsonl"), "{\"prompt\": \"a\", \"prompt\": \"b\", \"response\": \"c\"}\n");
  expect_failure(score({path("twice.jsonl")}), 3, {"twice.jsonl:1: two columns are named 'prompt'"},
                 path("out/twice.parquet"));
}

TEST_F(BadFiles, PoliciesOfOneFileAreNamed) {
  const std::string row = R"({"prompt": "a", "response": "b", "policy": ")";
  write_file(path("slash.jsonl"), row + "a/b\"}\n" + row + "a_b\"}\n");
  expect_failure(score({path("slash.jsonl")}), 3, {"policies 'a/b' and 'a_b'", "a_b.parquet"},
                 path("out"));
}

TEST_F(BadFiles, ARunThatDoesNotBeginLeavesNoFolder) {
  expect_failure(join({score({responses("helper")}), {"--template", path("nofile")}}), 4,
                 {"nofile"}, path("out"));
  EXPECT_FALSE(fs::exists(path(".charm/out")));
}

TEST_F(BadFiles, IdsOfDifferentPrompts) {
  score_all();
  auto rows = storage::read_scored_responses(path("scores/helper.parquet"), {});
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i].response.prompt_id = "row-" + std::to_string(i);
  storage::write_scores(path("helper.parquet"), rows);
  auto others = storage::read_scored_responses(path("scores/showman.parquet"), {});
  for (std::size_t i = 0; i < others.size(); ++i)
    others[i].response.prompt_id = "row-" + std::to_string(others.size() - 1 - i);
  storage::write_scores(path("showman.parquet"), others);
  expect_failure(measure({path("helper.parquet"), path("showman.parquet")}), 3,
                 {"prompt_ids stand for different prompts", "showman.parquet"},
                 path("mismatch.json"));
}

TEST_F(BadFiles, WrongColumnTypeNamesTheColumn) {
  write_file(path("types.jsonl"), "{\"prompt\": \"a\", \"response\": 17}\n");
  expect_failure(score({path("types.jsonl")}), 3, {"types.jsonl:1", "response"},
                 path("out/types.parquet"));
}

TEST_F(BadFiles, TwoFilesOfOnePolicy) {
  fs::copy_file(responses("helper"), path("again.jsonl"));
  expect_failure(score({responses("helper"), path("again.jsonl")}), 3,
                 {"helper.jsonl", "again.jsonl", "helper"}, path("out/helper.parquet"));
  score_all();
  fs::copy_file(path("scores/helper.parquet"), path("again.parquet"));
  expect_failure(measure({path("scores/helper.parquet"), path("again.parquet")}), 3,
                 {"again.parquet", "helper"}, path("mismatch.json"));
}

TEST_F(BadFiles, PolicyWithoutRatingNamesTheNearest) {
  score_all();
  write_file(path("few.json"),
             "{\"helper\": 1200, \"scholar\": 1250, \"showmann\": 1190, \"intern\": 1100}");
  expect_failure(measure(all_scores(), "few.json"), 3, {"showman", "showmann"},
                 path("mismatch.json"));
}

TEST_F(BadFiles, NoCommonPrompts) {
  score_all();
  auto rows = storage::read_scored_responses(path("scores/helper.parquet"), {});
  for (ScoredResponse& row : rows) row.response.prompt_id = "other-" + row.response.prompt_id;
  storage::write_scores(path("helper.parquet"), rows);
  expect_failure(measure({path("helper.parquet"), path("scores/showman.parquet")}), 3,
                 {"helper", "showman", "common"}, path("mismatch.json"));
}

TEST_F(BadFiles, ScoresOutOfRange) {
  score_all();
  std::string lines;
  for (int i = 1; i <= 40; ++i) {
    lines += "{\"prompt_id\": \"q-" + std::to_string(i) +
             "\", \"policy\": \"helper\", \"score\": " + (i == 5 ? "1e999" : "0.5") + "}\n";
  }
  write_file(path("helper.jsonl"), lines);
  expect_failure(measure({path("helper.jsonl"), path("scores/showman.parquet")}), 3,
                 {"helper.jsonl:5"}, path("mismatch.json"));
}

TEST_F(BadFiles, UnknownReferenceAndMissingFiles) {
  score_all();
  expect_failure(join({{"calibrate", "--ratings", path("world/ratings.json"), "--reference",
                        "nobody", "--output", path("c.json"), "--scores"},
                       all_scores()}),
                 2, {"nobody"}, path("c.json"));
  expect_failure(score({path("gone.jsonl")}), 4, {"gone.jsonl"}, path("out/gone.parquet"));
  expect_failure(measure({path("gone.parquet")}), 4, {"gone.parquet"}, path("mismatch.json"));
}

TEST_F(BadFiles, UnknownRecipeKeyNamesTheLine) {
  write_file(path("recipe.yaml"), "run_dir: run\npolicis: []\n");
  expect_failure({"run", path("recipe.yaml")}, 3, {"recipe.yaml:2", "'policis'", "'policies'"},
                 path("run"));
}

}  // namespace
}  // namespace charm::e2e
