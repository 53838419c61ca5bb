// Texts of a hundred thousand tokens, a thousand responses to one prompt: truncated as requested,
// flagged, and in bounded memory.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kMiB = 1 << 20;
constexpr int kManyWords = 100000;  ///< one token each

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "apple ";
  return text;
}

class LongTexts : public SmallWorld {
 protected:
  /// Scores rows of the policy "row"; rows may have errors.
  Outcome score(const std::vector<json>& rows, const std::vector<std::string>& options) {
    std::string lines;
    for (const json& row : rows) lines += row.dump() + "\n";
    write_file(path("row.jsonl"), lines);
    return run_charm(
        join({{"score", "--model", path("rm"), "--responses", path("row.jsonl"), "--output",
               path("out"), "--dtype", "float32", "--max-bad-rows", "3", "--fresh"},
              options}));
  }
  std::vector<ScoredResponse> scored(const std::vector<json>& rows,
                                     const std::vector<std::string>& options = {}) {
    const Outcome outcome = score(rows, options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_LT(outcome.max_rss_bytes, 1024 * kMiB);
    return storage::read_scored_responses(path("out/row.parquet"), {});
  }
};

TEST_F(LongTexts, LeftKeepsTheEndRightKeepsTheStart) {
  const json long_response = {{"prompt", "name five fruits"}, {"response", words(kManyWords)}};
  const json long_prompt = {{"prompt", words(kManyWords)}, {"response", "pear"}};
  const json other_response = {{"prompt", words(kManyWords)}, {"response", "plum"}};
  for (const char* side : {"left", "right"}) {
    const auto rows = scored({long_response, long_prompt, other_response},
                             {"--truncation", side, "--max-tokens", "100"});
    for (const ScoredResponse& row : rows) {
      EXPECT_EQ(row.error, std::nullopt);
      EXPECT_TRUE(row.truncated);
      EXPECT_EQ(row.num_tokens, 100);
    }
    // With a prompt longer than the limit, the responses only matter when truncating from the left.
    EXPECT_EQ(rows[1].score == rows[2].score, std::string(side) == "right");
  }
}

TEST_F(LongTexts, WarnsIfResponsesAreTruncatedCompletely) {
  const json row = {{"prompt", words(200)}, {"response", "pear"}};
  EXPECT_THAT(score({row}, {"--truncation", "right", "--max-tokens", "100"}).err,
              HasSubstr("1 of 1 rows are truncated before their response begins"));
  EXPECT_THAT(score({row}, {"--truncation", "left", "--max-tokens", "100"}).err,
              Not(HasSubstr("before their response")));
  const json short_prompt = {{"prompt", "name five fruits"}, {"response", words(200)}};
  EXPECT_THAT(score({short_prompt}, {"--truncation", "right", "--max-tokens", "100"}).err,
              Not(HasSubstr("before their response")));
}

TEST_F(LongTexts, ErrorGivesTheRowAnError) {
  const auto rows = scored({{{"prompt", "name five fruits"}, {"response", words(kManyWords)}},
                            {{"prompt", "name"}, {"response", "pear"}}},
                           {"--truncation", "error"});
  ASSERT_TRUE(rows[0].error.has_value());
  EXPECT_THAT(*rows[0].error,
              HasSubstr("more than --max-tokens 256; --truncation left or right would cut it"));
  EXPECT_EQ(rows[1].error, std::nullopt);
}

TEST_F(LongTexts, TheLimitIsAtMostTheModelsPositions) {
  const Outcome outcome = score({{{"prompt", "name"}, {"response", words(1000)}}},
                                {"--max-tokens", "9000000000000000000"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.err,
      HasSubstr(
          "--max-tokens 9000000000000000000 is more than the model's 256 positions; using those"));
  EXPECT_EQ(storage::read_scored_responses(path("out/row.parquet"), {}).front().num_tokens, 256);
}

TEST_F(LongTexts, ALimitThatNobodyGaveIsNoWarning) {
  const Outcome outcome = score({{{"prompt", "name"}, {"response", words(1000)}}}, {});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("positions")));
  EXPECT_EQ(storage::read_scored_responses(path("out/row.parquet"), {}).front().num_tokens, 256);
  const json manifest = json::parse(read_file(path(".charm/out/manifest.json")));
  EXPECT_EQ(manifest["options"]["max-tokens"], 256);
  const Outcome evaluated =
      run_charm({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
                 path("world/style_pairs.json"), "--output", path("e.json"), "--dtype", "float32"});
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.err, Not(HasSubstr("positions")));
}

TEST_F(LongTexts, LongSequencesNeedBoundedMemory) {
  json config = json::parse(read_file(path("rm/config.json")));
  config["max_position_embeddings"] = 50000;
  write_file(path("rm/config.json"), config.dump());
  const auto rows =
      scored({{{"prompt", words(10000)}, {"response", words(10000)}}}, {"--max-tokens", "50000"});
  EXPECT_FALSE(rows[0].truncated);
  EXPECT_GT(rows[0].num_tokens, 20000);
}

TEST_F(LongTexts, AThousandResponsesToOnePrompt) {
  std::vector<json> rows;
  for (int i = 0; i < 1000; ++i)
    rows.push_back({{"prompt", "name five fruits"}, {"response", words(i % 30)}, {"sample", i}});
  const auto together = scored(rows);
  ASSERT_EQ(together.size(), 1000u);
  EXPECT_EQ(together[31].score, together[1].score);
  EXPECT_EQ(scored({rows[17]}).front().score, together[17].score);
}

}  // namespace
}  // namespace charm::e2e
