#include "charm/generate/generate_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "charm/generate/resolved_options.h"
#include "charm/records/response.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_reader.h"
#include "tests/support/fake_llm.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::generate {
namespace {

using charm::testing::error_of;
using charm::testing::FakeLlm;
using charm::testing::ServerReply;
using charm::testing::TempFolder;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Completes in reverse order; fails or throws on request.
class FakeGenerator final : public Generator {
 public:
  void generate(std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
                const GeneratedFn& on_generated) override {
    last_sampling = sampling;
    std::size_t count = 0;
    for (auto request = requests.rbegin(); request != requests.rend(); ++request) {
      if (count++ == throw_after) throw Error(ErrorKind::kNetwork, "gone");
      received.push_back(*request);
      GenerationResult result{
          .index = request->index,
          .response = "r:" + request->prompt.back().content + "/" +
                      std::to_string(same_samples ? 0 : request->sample),
          .finish_reason = request->prompt.back().content == "long" ? "length" : "stop",
          .num_prompt_tokens = 4,
          .num_tokens = 2,
          .error = {}};
      if (failing.count(request->prompt.back().content) != 0)
        result = {
            .index = request->index, .response = "", .finish_reason = "", .error = "too long"};
      on_generated(std::move(result));
    }
  }
  std::vector<GenerationRequest> received;
  SamplingOptions last_sampling;
  std::set<std::string> failing;
  bool same_samples = false;
  std::size_t throw_after = SIZE_MAX;
};

std::vector<json> rows_of(const fs::path& file) {
  storage::RowReader reader(file, {});
  std::vector<json> rows;
  while (const storage::RowView* row = reader.next()) rows.push_back(row->to_json());
  return rows;
}

class GenerateStage : public ::testing::Test {
 protected:
  GenerateStage() {
    options.prompts = folder.file("prompts.jsonl",
                                  "{\"prompt\":\"a\"}\n{\"prompt\":\"long\"}\n{\"prompt\":[{"
                                  "\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\","
                                  "\"content\":\"y\"},{\"role\":\"user\",\"content\":\"c\"}]}\n");
    options.policy = "p";
    options.output = folder / "out.jsonl";
  }
  GenerateStageResult run() { return generate_stage(options, generator, {{"generator", "fake"}}); }

  TempFolder folder;
  GenerateStageOptions options;
  FakeGenerator generator;
};

TEST_F(GenerateStage, NoticesServersThatDecodeGreedily) {
  options.num_samples = 2;
  EXPECT_FALSE(run().ignores_temperature);
  options.output = folder / "greedy.jsonl";
  generator.same_samples = true;
  EXPECT_TRUE(run().ignores_temperature);
  options.output = folder / "zero.jsonl";
  options.sampling.temperature = 0.0;
  EXPECT_FALSE(run().ignores_temperature);
  options.output = folder / "single.jsonl";
  options.sampling.temperature = 0.7;
  options.num_samples = 1;
  EXPECT_FALSE(run().ignores_temperature);
}

TEST_F(GenerateStage, WritesRowsInPromptOrder) {
  options.num_samples = 2;
  options.top_k = 5;
  for (const char* name : {"out.jsonl", "out.parquet"}) {
    options.output = folder / name;
    const GenerateStageResult result = run();
    EXPECT_EQ(result.num_rows, 6);
    EXPECT_EQ(result.num_length, 2);
    EXPECT_EQ(result.num_errors, 0);
    EXPECT_EQ(result.num_tokens, 12);
    const auto rows = rows_of(options.output);
    ASSERT_EQ(rows.size(), 6u);
    EXPECT_EQ(rows[1]["response"], "r:a/1");
    EXPECT_EQ(rows[1]["sample"], 1);
    EXPECT_EQ(rows[1]["policy"], "p");
    EXPECT_EQ(rows[1]["prompt_id"], prompt_id_of({{"user", "a"}}));
    EXPECT_EQ(rows[2]["finish_reason"], "length");
    EXPECT_EQ(rows[2]["num_tokens"], 2);
    EXPECT_EQ(rows[2]["num_prompt_tokens"], 4);
    EXPECT_EQ(rows[4]["prompt"].size(), 3u);
    EXPECT_EQ(rows[4]["response"], "r:c/0");
    EXPECT_DOUBLE_EQ(rows[0]["temperature"].get<double>(), 0.7);
    EXPECT_DOUBLE_EQ(rows[0]["top_p"].get<double>(), 0.9);
    EXPECT_EQ(rows[0]["top_k"], 5);
    EXPECT_EQ(rows[0]["max_new_tokens"], 4096);
    EXPECT_TRUE(rows[0]["error"].is_null());
    EXPECT_EQ(storage::read_responses(options.output, {}).size(), 6u);
    EXPECT_FALSE(fs::exists(storage::journal_path(folder / name)));
    const json manifest = json::parse(read_file(storage::manifest_path(folder / name)));
    EXPECT_EQ(manifest["command"], "generate");
    EXPECT_EQ(manifest["num_length"], 2);
    EXPECT_EQ(manifest["options"]["n"], 2);
  }
}

TEST_F(GenerateStage, TellsTheTokenLimitFromTheEndOfTheContext) {
  EXPECT_EQ(run().num_early, 1) << "cut after 2 of 4096 tokens";
  options.output = folder / "again.jsonl";
  const GenerateStageResult result = run();
  EXPECT_EQ(result.num_length, 1);
  EXPECT_EQ(result.early_tokens, 6) << "of prompt and response";
  options.output = folder / "limit.jsonl";
  options.sampling.max_new_tokens = 2;
  EXPECT_EQ(run().num_length, 1);
  EXPECT_EQ(run().num_early, 0);
}

TEST_F(GenerateStage, AnInterruptedRunResumes) {
  generator.throw_after = 2;
  EXPECT_EQ(error_of([&] { run(); }).kind(), ErrorKind::kNetwork);
  EXPECT_FALSE(fs::exists(options.output));
  generator.throw_after = SIZE_MAX;
  const GenerateStageResult result = run();
  EXPECT_EQ(result.num_resumed, 2);
  EXPECT_EQ(generator.received.size(), 3u);
  const std::string resumed = read_file(options.output);
  options.output = folder / "straight.jsonl";
  run();
  EXPECT_EQ(read_file(options.output), resumed);
  // Complete: nothing is generated again, and other options do not overwrite it without --fresh.
  generator.received.clear();
  EXPECT_TRUE(run().skipped);
  EXPECT_TRUE(generator.received.empty());
  // As a manifest from before an option: it was left at its default.
  const fs::path path = folder / "straight.jsonl.manifest.json";
  json manifest = json::parse(read_file(path));
  EXPECT_EQ(manifest["options"].erase("template-date"), 1u);
  write_file(path, manifest.dump());
  EXPECT_TRUE(run().skipped);
  options.server.template_date = "2025-01-31";
  EXPECT_EQ(error_of([&] { run(); }).kind(), ErrorKind::kUsage);
  options.server.template_date = GenerateStageOptions().server.template_date;
  options.server.concurrency += 1;
  EXPECT_TRUE(run().skipped);
  options.sampling.temperature = 0.0;
  const Error error = error_of([&] { run(); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.message(), HasSubstr("--fresh"));
  options.fresh = true;
  EXPECT_FALSE(run().skipped);
  EXPECT_EQ(generator.last_sampling.temperature, 0.0);
}

TEST_F(GenerateStage, FailedRowsCarryTheirError) {
  generator.failing = {"a"};
  Error error = error_of([&] { run(); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr("1 of 3"), HasSubstr("too long"), HasSubstr("--max-bad-rows")));
  EXPECT_FALSE(fs::exists(options.output));
  options.max_bad_rows = 1;
  generator.received.clear();
  const GenerateStageResult result = run();
  EXPECT_EQ(generator.received.size(), 1u);  // only the failed one
  EXPECT_EQ(result.num_errors, 1);
  const auto rows = rows_of(options.output);
  EXPECT_EQ(rows[0]["error"], "too long");
  EXPECT_TRUE(rows[0]["response"].is_null());
  EXPECT_TRUE(rows[1]["error"].is_null());
  EXPECT_EQ(storage::read_responses(options.output, {}).size(), 2u);  // as charm score reads it
}

TEST_F(GenerateStage, EmptyPromptsAreNotGenerated) {
  options.prompts = folder.file("p.jsonl", "{\"prompt\":\" \\n\"}\n{\"prompt\":\"a\"}\n");
  options.max_bad_rows = 1;
  EXPECT_EQ(run().num_errors, 1);
  EXPECT_EQ(generator.received.size(), 1u);
  EXPECT_EQ(rows_of(options.output)[0]["error"], "the prompt is empty");
}

TEST_F(GenerateStage, TooManyFailuresStopEarly) {
  std::string prompts;
  for (int i = 0; i < 200; ++i) prompts += "{\"prompt\":\"q" + std::to_string(i) + "\"}\n";
  options.prompts = folder.file("many.jsonl", prompts);
  for (int i = 0; i < 200; ++i) generator.failing.insert("q" + std::to_string(i));
  const Error error = error_of([&] { run(); });
  EXPECT_THAT(error.message(), HasSubstr("stopped early"));
  EXPECT_LT(generator.received.size(), 50u);
}

TEST_F(GenerateStage, SystemMessagesAreNotWritten) {
  options.system = "be brief";
  run();
  for (const GenerationRequest& request : generator.received)
    EXPECT_EQ(request.prompt.front().content, "be brief");
  const auto rows = rows_of(options.output);
  EXPECT_EQ(rows[0]["prompt"].size(), 1u);
  EXPECT_EQ(rows[0]["prompt_id"], prompt_id_of({{"user", "a"}}));
}

TEST_F(GenerateStage, RejectsInvalidOptions) {
  const auto is_rejected = [&](const std::function<void(GenerateStageOptions&)>& spoil) {
    GenerateStageOptions bad = options;
    spoil(bad);
    return error_of([&] { generate_stage(bad, generator, {{"generator", "fake"}}); }).kind() ==
           ErrorKind::kUsage;
  };
  EXPECT_TRUE(is_rejected([](auto& o) { o.sampling.stop = {""}; }));
  EXPECT_TRUE(is_rejected([](auto& o) { o.policy = ""; }));
  EXPECT_TRUE(is_rejected([&](auto& o) { o.output = folder / "x.csv"; }));
  EXPECT_EQ(error_of([&] { generate_stage(options); }).kind(),
            ErrorKind::kUsage);  // neither model nor server
  options.server.urls = {"http://127.0.0.1:1"};
  EXPECT_THAT(error_of([&] { generate_stage(options); }).message(), HasSubstr("--server-model"));
  options.server.model = "m";
  options.server.api_key_env = "CHARM_TEST_KEY_THAT_IS_NOT_SET";
  EXPECT_THAT(error_of([&] { generate_stage(options); }).message(),
              HasSubstr("CHARM_TEST_KEY_THAT_IS_NOT_SET"));
}

TEST_F(GenerateStage, TheApiKeyIsNeverStored) {
  FakeLlm server;
  ASSERT_EQ(setenv("CHARM_TEST_KEY", "s3cret", 1), 0);
  options.server.urls = {server.url()};
  options.server.model = "tiny";
  options.server.api_key_env = "CHARM_TEST_KEY";
  const GenerateStageResult result = generate_stage(options);
  EXPECT_EQ(result.num_rows, 3);
  EXPECT_EQ(server.requests().back().header("authorization"), "Bearer s3cret");
  for (const std::string& name : folder.names())
    EXPECT_THAT(read_file(folder / name), ::testing::Not(HasSubstr("s3cret"))) << name;
  const auto rows = rows_of(options.output);
  EXPECT_TRUE(rows[0]["top_k"].is_null());  // left to the server
}

TEST_F(GenerateStage, AModelsGenerationConfigFillsWhatIsNotGiven) {
  const auto with = [&](const std::string& config) {
    folder.file("generation_config.json", config);
    return with_model_defaults(options, folder.path());
  };
  EXPECT_FALSE(with_model_defaults(options, folder.path()).top_k);  // without the file
  EXPECT_FALSE(with("{}").repetition_penalty);
  const GenerateStageOptions taken =
      with(R"({"top_k": 20, "min_p": 0.05, "repetition_penalty": 1.05, "temperature": 0.1,
               "top_p": 0.8})");
  EXPECT_EQ(taken.top_k, 20);
  EXPECT_EQ(taken.min_p, 0.05);
  EXPECT_EQ(taken.repetition_penalty, 1.05);
  EXPECT_EQ(taken.sampling.temperature, options.sampling.temperature);
  EXPECT_EQ(taken.sampling.top_p, options.sampling.top_p);
  options.top_k = 0;
  options.repetition_penalty = 1.0;
  const GenerateStageOptions given = with(R"({"top_k": 20, "repetition_penalty": 1.05})");
  EXPECT_EQ(given.top_k, 0);
  EXPECT_EQ(given.repetition_penalty, 1.0);
  options.top_k.reset();
  options.repetition_penalty.reset();
  EXPECT_FALSE(with(R"({"top_k": null, "repetition_penalty": null})").top_k);
  for (const char* wrong : {R"({"top_k": -1})", R"({"top_k": 2.5})", R"({"min_p": 1.5})",
                            R"({"repetition_penalty": 0})", R"({"repetition_penalty": "1"})"}) {
    EXPECT_THAT(error_of([&] { with(wrong); }).message(), HasSubstr("generation_config.json: "))
        << wrong;
  }
}

TEST_F(GenerateStage, SettingsOfAGenerationConfigThatAreNotAppliedAreTold) {
  const auto warnings = [&](const std::string& config) {
    folder.file("generation_config.json", config);
    ::testing::internal::CaptureStderr();
    with_model_defaults(options, folder.path());
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(warnings(R"({"num_beams": 1, "typical_p": 1.0, "no_repeat_ngram_size": 0,
                         "suppress_tokens": [], "stop_strings": null})"),
            "");
  EXPECT_THAT(warnings(R"({"no_repeat_ngram_size": 3, "num_beams": 4})"),
              AllOf(HasSubstr("no_repeat_ngram_size is 3"), HasSubstr("num_beams is 4")));
}

}  // namespace
}  // namespace charm::generate
