#include "charm/prepare/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::prepare {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::ElementsAre;

std::vector<Prompt> numbered(int count) {
  std::vector<Prompt> prompts;
  for (int i = 0; i < count; ++i)
    prompts.push_back({std::to_string(i), {{"user", fmt::format("q{}", i)}}});
  return prompts;
}

std::vector<std::string> ids(const std::vector<Prompt>& prompts) {
  std::vector<std::string> out;
  for (const Prompt& prompt : prompts) out.push_back(prompt.prompt_id);
  return out;
}

TEST(SamplePrompts, TakesTheFirstOnesWithoutASeed) {
  EXPECT_THAT(ids(sample_prompts(numbered(5), 3, std::nullopt)), ElementsAre("0", "1", "2"));
  EXPECT_EQ(sample_prompts(numbered(2), 3, std::nullopt).size(), 2u);
}

TEST(SamplePrompts, KeepsFileOrderWithASeed) {
  const auto sample = sample_prompts(numbered(1000), 100, 7);
  EXPECT_EQ(ids(sample), ids(sample_prompts(numbered(1000), 100, 7)));
  EXPECT_NE(ids(sample), ids(sample_prompts(numbered(1000), 100, 8)));
  EXPECT_NE(ids(sample), ids(sample_prompts(numbered(1000), 100, std::nullopt)));
  for (std::size_t i = 1; i < sample.size(); ++i) {
    EXPECT_LT(std::stoi(sample[i - 1].prompt_id), std::stoi(sample[i].prompt_id));
  }
}

TEST(WithoutDuplicates, KeepsTheFirstOfEqualConversations) {
  std::vector<Prompt> prompts = numbered(3);
  prompts.push_back({"again", prompts[1].messages});
  prompts.push_back({"other role", {{"system", "q1"}}});
  EXPECT_THAT(ids(without_duplicates(prompts)), ElementsAre("0", "1", "2", "other role"));
}

TEST(Prepare, WritesPromptsAndManifest) {
  const TempFolder folder;
  PrepareOptions options;
  options.input = folder.file(
      "in.jsonl",
      "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n{\"prompt\":\"a\"}\n{\"prompt\":\"c\"}\n");
  options.output = folder / "out/prompts.parquet";
  options.dedupe = true;
  options.limit = 2;
  const PrepareResult result = prepare(options);
  EXPECT_EQ(result.num_read, 4);
  EXPECT_EQ(result.num_duplicates, 1);
  EXPECT_EQ(result.num_written, 2);
  const auto prompts = storage::read_prompts(options.output, {});
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[1].messages, (Conversation{{"user", "b"}}));
  EXPECT_EQ(prompts[1].prompt_id, prompt_id_of({{"user", "b"}}));
  const auto manifest =
      nlohmann::json::parse(read_file(folder / "out/.charm/prompts.parquet.manifest.json"));
  EXPECT_EQ(manifest["command"], "prepare");
  EXPECT_EQ(manifest["num_duplicates"], 1);
  EXPECT_EQ(manifest["options"]["limit"], 2);
}

TEST(Prepare, KeepsRepeatsByDefault) {
  const TempFolder folder;
  PrepareOptions options;
  options.input = folder.file("in.jsonl", "{\"prompt\":\"a\"}\n{\"prompt\":\"a\"}\n");
  options.output = folder / "prompts.jsonl";
  EXPECT_EQ(prepare(options).num_written, 2);
  EXPECT_EQ(storage::read_prompts(options.output, {})[1].prompt_id,
            prompt_id_of({{"user", "a"}}) + "-2");
}

TEST(Prepare, FiltersByLengthBenchmarkAndSimilarity) {
  const TempFolder folder;
  PrepareOptions options;
  options.input = folder.file(
      "in.jsonl",
      "{\"prompt\":\"hi\"}\n"
      "{\"prompt\":\"What is the capital of France?\"}\n"
      "{\"prompt\":\"Write a poem about the autumn sea and its many colours, please.\"}\n"
      "{\"prompt\":\"write a poem about the autumn sea, and its many colours please\"}\n"
      "{\"prompt\":\"" +
          std::string(500, 'x') +
          "\"}\n"
          "{\"prompt\":\"Name three uses of a brick.\"}\n");
  options.output = folder / "prompts.jsonl";
  options.min_chars = 5;
  options.max_chars = 400;
  options.near_duplicates = 0.8;
  options.exclude = {folder.file(
      "bench.json",
      R"([{"prompt":"what is the capital of france","chosen":["a"],"rejected":["b"]}])")};
  const PrepareResult result = prepare(options);
  EXPECT_EQ(result.num_too_short, 1);
  EXPECT_EQ(result.num_too_long, 1);
  EXPECT_EQ(result.num_excluded, 1);
  EXPECT_EQ(result.num_near_duplicates, 1);
  EXPECT_EQ(result.num_written, 2);
  const auto list = nlohmann::json::parse(read_file(excluded_path(options.output)));
  EXPECT_EQ(list["prompt"][0]["content"], "What is the capital of France?");
  EXPECT_EQ(list["overlap"], 1.0);
  EXPECT_THAT(list["benchmark"].get<std::string>(), ::testing::HasSubstr("bench.json"));
  options.min_chars = 1000;
  options.max_chars.reset();
  EXPECT_EQ(error_of([&] { prepare(options); }).kind(), ErrorKind::kInput);
  options.max_chars = 10;
  EXPECT_EQ(error_of([&] { prepare(options); }).kind(), ErrorKind::kUsage);
}

TEST(Prepare, TakesTheFirstUserTurnOfPairs) {
  const TempFolder folder;
  PrepareOptions options;
  const std::string shared =
      R"({"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"})";
  options.input =
      folder.file("in.jsonl", R"({"chosen":[)" + shared +
                                  R"(,{"role":"assistant","content":"x"}],"rejected":[)" + shared +
                                  R"(,{"role":"assistant","content":"y"}]})"
                                  "\n"
                                  R"({"messages":[)" +
                                  shared + "]}\n");
  options.output = folder / "prompts.jsonl";
  const auto sizes = [&] {
    prepare(options);
    std::vector<std::size_t> all;
    for (const Prompt& prompt : storage::read_prompts(options.output, {}))
      all.push_back(prompt.messages.size());
    return all;
  };
  EXPECT_THAT(sizes(), ElementsAre(2u, 4u));
  options.turns = storage::PromptTurns::kAll;
  EXPECT_THAT(sizes(), ElementsAre(4u, 4u));
  options.turns = storage::PromptTurns::kFirst;
  EXPECT_THAT(sizes(), ElementsAre(2u, 2u));
}

TEST(Prepare, BadOptionsAndInputLeaveNoOutput) {
  const TempFolder folder;
  PrepareOptions options;
  options.input = folder.file("in.jsonl", "{\"prompt\":\"a\"}\nbroken\n");
  options.output = folder / "out/prompts.parquet";
  EXPECT_EQ(error_of([&] { prepare(options); }).kind(), ErrorKind::kInput);
  options.output = folder / "out/prompts.csv";
  EXPECT_EQ(error_of([&] { prepare(options); }).kind(), ErrorKind::kUsage);
  EXPECT_TRUE(fs::is_empty(folder / "out"));
}

}  // namespace
}  // namespace charm::prepare
