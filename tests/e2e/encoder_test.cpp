// A bidirectional encoder (DeBERTa-v3): inspected, scored and measured; training, generation and a
// GPU are refused by name with the next step.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"
#include "tests/support/source_dir.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class BidirectionalEncoder : public SmallWorld {
 protected:
  BidirectionalEncoder() { num_prompts_ = 8; }

  void SetUp() override {
    SmallWorld::SetUp();
    fs::copy(fs::path(charm::test::kSourceDir) / "tests/data/golden/encoders/deberta-v3",
             dir_ / "deberta");
  }

  std::vector<ScoredResponse> score(const std::string& file, const std::string& output,
                                    const std::vector<std::string>& more = {}) {
    const Outcome outcome = run_charm(join({{"score", "--model", path("deberta"), "--responses",
                                             file, "--output", path(output), "--dtype", "float32"},
                                            more}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
    return storage::read_scored_responses(
        path(output + "/" + fs::path(file).stem().string() + ".parquet"), {});
  }
};

TEST_F(BidirectionalEncoder, ScoresOfTheCommandEqualTransformers) {
  const json fixture = json::parse(read_file(path("deberta/golden.json")));
  std::string rows;
  for (const json& row : fixture["rows"]) {
    rows += json{{"prompt", row["prompt"]}, {"response", row["response"]}, {"policy", "golden"}}
                .dump() +
            "\n";
  }
  write_file(path("golden.jsonl"), rows);
  const auto scored = score(path("golden.jsonl"), "golden");
  ASSERT_EQ(scored.size(), fixture["rows"].size());
  std::map<std::pair<std::string, std::string>, float> by_text;
  for (const auto& row : scored)
    by_text[{row.response.prompt.front().content, row.response.response}] = row.score;
  for (const json& row : fixture["rows"])
    EXPECT_NEAR((by_text.at({row["prompt"], row["response"]})), row["score"].get<double>(), 1e-5);
}

TEST_F(BidirectionalEncoder, IsInspectedAndScoredWhateverTheBatch) {
  const Outcome inspected = run_charm({"inspect", path("deberta")});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_THAT(inspected.out,
              AllOf(HasSubstr("DebertaV2ForSequenceClassification"),
                    HasSubstr("pooler and classifier on the first token"),
                    HasSubstr("bidirectional, relative positions by 32 rows (buckets), c2p, p2c"),
                    Not(HasSubstr("warning")), HasSubstr("prompt and response are a pair of texts"),
                    HasSubstr("[CLS] {{ prompt }} [SEP] {{ response }} [SEP]"),
                    HasSubstr("for scoring, on the CPU; not trained, no generation")));
  write_file(path("deberta/tokenizer_config.json"), R"({"tokenizer_class": "DebertaV2Tokenizer"})");
  EXPECT_THAT(run_charm({"inspect", path("deberta")}).out,
              HasSubstr("warning: tokenizer_class DebertaV2Tokenizer"));
  const auto values = [&](const std::string& output, const std::vector<std::string>& more) {
    std::vector<float> scores;
    for (const auto& row : score(responses("helper"), output, more)) scores.push_back(row.score);
    return scores;
  };
  const std::vector<float> expected = values("whole", {"--threads", "1"});
  EXPECT_EQ(expected.size(), 8u);
  EXPECT_EQ(values("split", {"--threads", "2", "--budget-tokens", "50"}), expected);
}

TEST_F(BidirectionalEncoder, PromptsOfSeveralTurnsGetAnError) {
  write_file(path("turns.jsonl"),
             R"({"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"}], "response": "d", "policy": "p"})");
  std::string text = read_file(path("turns.jsonl"));
  std::erase(text, '\n');
  write_file(path("turns.jsonl"), text + "\n");
  const Outcome outcome = run_charm({"score", "--model", path("deberta"), "--responses",
                                     path("turns.jsonl"), "--output", path("turns")});
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("3 messages"), HasSubstr("--template FILE")));
}

TEST_F(BidirectionalEncoder, WhatIsNotComputedIsRefusedWithTheNextStep) {
  write_file(path("pairs.jsonl"),
             R"({"prompt": "Hello", "chosen": "Hi.", "rejected": "No.", "prompt_id": "a"})"
             "\n");
  expect_failure({"train", "--model", path("deberta"), "--preferences", path("pairs.jsonl"),
                  "--output", path("trained")},
                 3, {"training is not supported", "bidirectional encoders", "elsewhere"},
                 path("trained"));
  expect_failure({"score", "--model", path("deberta"), "--responses", responses("helper"),
                  "--output", path("out"), "--device", "cuda"},
                 3, {"--device cuda is not supported", "use --device cpu"},
                 path("out/helper.parquet"));
  expect_failure({"score", "--model", path("deberta"), "--responses", responses("helper"),
                  "--output", path("out"), "--pooling", "last"},
                 2, {"--pooling last", "pools the first token"}, path("out/helper.parquet"));
  EXPECT_FALSE(fs::exists(path(".charm/out/helper.parquet.journal")));
  write_file(path("prompts.jsonl"), "{\"prompt\": \"Hello\"}\n");
  expect_failure({"generate", "--model", path("deberta"), "--prompts", path("prompts.jsonl"),
                  "--policy", "lm", "--output", path("lm.parquet")},
                 3, {"is a reward model and cannot generate"}, path("lm.parquet"));
}

}  // namespace
}  // namespace charm::e2e
