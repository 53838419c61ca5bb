// `charm generate` with servers: kills, full disks, failing servers, and a recipe that starts from
// prompts.

#include <gmock/gmock.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/demo/language.h"
#include "charm/demo/tiny_model.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_reader.h"
#include "tests/e2e/small_world.h"
#include "tests/support/fake_llm.h"

namespace charm::e2e {
namespace {

using charm::testing::FakeLlm;
using charm::testing::ServerReply;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Generate : public SmallWorld {
 protected:
  Generate() { num_prompts_ = 120; }

  std::vector<std::string> command(const std::string& url, const std::string& output,
                                   const std::vector<std::string>& more = {}) {
    return join({{"generate", "--prompts", responses("helper"), "--policy", "new", "--server", url,
                  "--server-model", "tiny", "--output", path(output)},
                 more});
  }

  static std::vector<json> rows_of(const std::string& file) {
    storage::RowReader reader(file, {});
    std::vector<json> rows;
    while (const storage::RowView* row = reader.next()) rows.push_back(row->to_json());
    return rows;
  }

  /// Delays responses, so that there is time for a kill.
  static FakeLlm::Fault slow(int ms) {
    return [ms](int, const json&) -> std::optional<ServerReply> {
      std::this_thread::sleep_for(std::chrono::milliseconds(ms));
      return std::nullopt;
    };
  }
};

TEST_F(Generate, RowsInPromptOrderReadyToScore) {
  FakeLlm server;
  const Outcome outcome = run_charm(command(
      server.url(), "new.parquet", {"--n", "2", "--seed", "5", "--stop", "##", "--top-k", "20"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("240 responses (0 failed, 0 cut at 4096 tokens)"));
  const auto prompts = storage::read_prompts(responses("helper"), {});
  const auto rows = storage::read_responses(path("new.parquet"), {});
  ASSERT_EQ(rows.size(), 2 * prompts.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].prompt_id, prompts[i / 2].prompt_id);
    EXPECT_EQ(rows[i].sample, static_cast<std::int32_t>(i % 2));
    EXPECT_THAT(rows[i].response, HasSubstr(prompts[i / 2].messages.back().content));
  }
  const json body = server.bodies().front();
  EXPECT_EQ(body["stop"], json({"##"}));
  EXPECT_EQ(body["top_k"], 20);
  EXPECT_FALSE(body.contains("min_p"));
  const Outcome scored =
      run_charm({"score", "--model", path("rm"), "--responses", path("new.parquet"), "--output",
                 path("scores"), "--dtype", "float32"});
  EXPECT_EQ(scored.code, 0) << scored.err;
}

TEST_F(Generate, KilledAnywhereItResumesWithoutLoss) {
  FakeLlm server(slow(4));
  const auto arguments = command(server.url(), "new.jsonl", {"--concurrency", "4"});
  const std::string journal = path("new.jsonl.journal");
  int kills = 0;
  for (const std::uintmax_t bytes : {200, 4000, 9000}) {
    const Outcome outcome =
        run_charm(arguments, {.max_file_bytes = 0, .environment = {}, .kill_when = [&] {
                                std::error_code error;
                                const auto size = fs::file_size(journal, error);
                                return !error && size > bytes;
                              }});
    kills += outcome.code == 128 + 9 ? 1 : 0;
    EXPECT_FALSE(fs::exists(path("new.jsonl")) && outcome.code != 0);
  }
  EXPECT_GE(kills, 2);
  const Outcome outcome = run_charm(arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(journal));
  EXPECT_EQ(rows_of(path("new.jsonl")).size(), static_cast<std::size_t>(num_prompts_));
  // Requests in flight at a kill are sent again, at most `concurrency` each; nothing in the journal
  // is.
  EXPECT_LE(server.num_completed(), num_prompts_ + 4 * kills);
  FakeLlm other;
  ASSERT_EQ(run_charm(command(other.url(), "straight.jsonl")).code, 0);
  EXPECT_EQ(read_file(path("straight.jsonl")), read_file(path("new.jsonl")));
  EXPECT_EQ(run_charm(arguments).code, 0);
  EXPECT_LE(server.num_completed(), num_prompts_ + 4 * kills);
}

TEST_F(Generate, AFailedRunResumesOnAnotherServer) {
  auto dying = std::make_unique<FakeLlm>(slow(2));
  std::thread killer([&] {
    while (dying->num_completed() < 30) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    dying->stop();
  });
  const Outcome outcome = run_charm(command(
      dying->url(), "new.jsonl",
      {"--patience", "0.5", "--concurrency", "4", "--retries", "1", "--max-bad-rows", "40"}));
  killer.join();
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("all servers unreachable"), HasSubstr(dying->url())));
  EXPECT_TRUE(fs::exists(path("new.jsonl.journal")));
  FakeLlm next;
  const Outcome second = run_charm(command(next.url(), "new.jsonl"));
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_LE(next.num_completed(), num_prompts_ - 25);
  EXPECT_EQ(rows_of(path("new.jsonl")).size(), static_cast<std::size_t>(num_prompts_));
}

TEST_F(Generate, InvalidOptions) {
  FakeLlm server;
  const auto expect_rejected = [&](const std::vector<std::string>& arguments, int code,
                                   const std::vector<std::string>& parts) {
    expect_failure(arguments, code, parts, path("new.jsonl"));
  };
  expect_rejected(command("http://127.0.0.1:1", "new.jsonl"), 5,
                  {"http://127.0.0.1:1/v1/models", "no server is reachable"});
  expect_rejected(command("127.0.0.1:8000", "new.jsonl"), 2, {"'127.0.0.1:8000'", "http://"});
  expect_rejected(command(server.url(), "new.jsonl",
                          {"--accept-model", "x", "--api-key-env", "CHARM_NO_SUCH_VARIABLE"}),
                  2, {"CHARM_NO_SUCH_VARIABLE"});
  expect_rejected(command(server.url(), "new.jsonl", {"--model", path("rm")}), 2,
                  {"either --model DIR or --server URL"});
  expect_rejected(command(server.url(), "new.jsonl", {"--endpoint", "completions"}), 2,
                  {"--tokenizer"});
  expect_rejected(command(server.url(), "new.jsonl", {"--temperature", "-1"}), 2,
                  {"--temperature"});
  expect_rejected(command(server.url(), "new.jsonl", {"--extra-body", "{"}), 2, {"--extra-body"});
  expect_rejected({"generate", "--prompts", responses("helper"), "--policy", "new", "--server",
                   server.url(), "--server-model", "huge", "--output", path("new.jsonl")},
                  2, {"'tiny'", "'huge'", "--server-model"});
  expect_rejected({"generate", "--prompts", path("none.jsonl"), "--policy", "new", "--server",
                   server.url(), "--server-model", "tiny", "--output", path("new.jsonl")},
                  4, {"none.jsonl"});
  EXPECT_EQ(server.num_received(), 0);
}

TEST_F(Generate, AFullDiskKeepsTheJournal) {
  FakeLlm server;
  const Outcome outcome =
      run_charm(command(server.url(), "new.jsonl"), {.max_file_bytes = 3000, .kill_when = {}});
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_FALSE(fs::exists(path("new.jsonl")));
  const int before = server.num_completed();
  ASSERT_EQ(run_charm(command(server.url(), "new.jsonl")).code, 0);
  EXPECT_LT(server.num_completed() - before, num_prompts_);
  EXPECT_EQ(rows_of(path("new.jsonl")).size(), static_cast<std::size_t>(num_prompts_));
}

TEST_F(Generate, ARecipeStartsFromPrompts) {
  FakeLlm one({}, "model-one"), two({}, "model-two");
  write_file(path("ratings.json"), "{\"one\": 1100, \"two\": 1000}");
  const auto recipe = [&](const std::string& temperature) {
    return "run_dir: run\nseed: 3\nprompts: {input: world/responses/helper.jsonl, limit: 60}\n"
           "generation: {max_new_tokens: 32, temperature: " +
           temperature +
           "}\n"
           "policies:\n"
           "  - {name: one, server: " +
           one.url() +
           ", server_model: model-one}\n"
           "  - {name: two, server: [" +
           two.url() +
           "], server-model: model-two, top_p: 0.5, concurrency: 3}\n"
           "ratings: ratings.json\nreward_model: {name: tiny, model: rm, dtype: float32}\n"
           "mismatch: {bootstrap: 20}\ncalibration: {reference: one, bootstrap: 20, mode: "
           "all-pairs}\n";
  };
  write_file(path("recipe.yaml"), recipe("0.7"));
  Outcome outcome = run_charm({"run", path("recipe.yaml"), "--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out + outcome.err,
              AllOf(HasSubstr("prompts"), HasSubstr("responses one"), HasSubstr("responses two")));
  EXPECT_EQ(one.num_received(), 0);
  outcome = run_charm({"run", path("recipe.yaml")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(one.num_received(), 60);
  EXPECT_EQ(two.num_received(), 60);
  EXPECT_EQ(two.bodies().front()["top_p"], 0.5);
  EXPECT_EQ(two.bodies().front()["max_tokens"], 32);
  EXPECT_TRUE(fs::exists(path("run/report.html")));
  outcome = run_charm({"run", path("recipe.yaml")});
  EXPECT_THAT(outcome.out, HasSubstr("0 steps done"));
  write_file(path("recipe.yaml"), recipe("0.2"));
  outcome = run_charm({"run", path("recipe.yaml"), "--until", "responses"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(one.num_received(), 120);
  EXPECT_EQ(one.bodies().back()["temperature"], 0.2);
}

/// With a tiny embedded causal LM instead of a server.
class GenerateEmbedded : public Generate {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    demo::TinyModelOptions model;
    model.hidden_size = 32;
    model.intermediate_size = 64;
    model.seed = 5;
    demo::write_tiny_model(dir_ / "lm", demo::vocabulary(), model);
  }

  std::vector<std::string> embedded(const std::string& output,
                                    const std::vector<std::string>& more = {}) {
    return join(
        {{"generate", "--prompts", responses("helper"), "--policy", "tiny", "--model", path("lm"),
          "--max-new-tokens", "24", "--dtype", "float32", "--output", path(output)},
         more});
  }
};

TEST_F(GenerateEmbedded, TheEndOfTheContextIsNoTokenLimit) {
  json config = json::parse(read_file(path("lm/config.json")));
  config["max_position_embeddings"] = 40;
  config["eos_token_id"] = nullptr;
  write_file(path("lm/config.json"), config.dump());
  const Outcome outcome = run_charm({"generate", "--prompts", responses("helper"), "--policy",
                                     "tiny", "--model", path("lm"), "--max-new-tokens", "4000",
                                     "--dtype", "float32", "--output", path("long.jsonl")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("0 cut at 4000 tokens, "));
  EXPECT_THAT(outcome.out, HasSubstr(" at the model's 40 positions)"));
}

TEST_F(GenerateEmbedded, KilledAnywhereItGivesTheSameBytes) {
  for (const char* temperature : {"0", "0.9"}) {
    const std::string straight = std::string("straight") + temperature + ".parquet",
                      killed = std::string("killed") + temperature + ".parquet";
    ASSERT_EQ(run_charm(embedded(straight, {"--temperature", temperature})).code, 0);
    const std::string journal = path(".charm/" + killed + ".journal");
    int kills = 0;
    for (const std::uintmax_t bytes : {150, 3000, 6000}) {
      const Outcome outcome =
          run_charm(embedded(killed, {"--temperature", temperature, "--batch", "4"}),
                    {.max_file_bytes = 0, .environment = {}, .kill_when = [&] {
                       std::error_code error;
                       const auto size = fs::file_size(journal, error);
                       return !error && size > bytes;
                     }});
      kills += outcome.code == 128 + 9 ? 1 : 0;
    }
    EXPECT_GE(kills, 1);
    const Outcome outcome = run_charm(embedded(killed, {"--temperature", temperature}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(read_file(path(straight)), read_file(path(killed)));
  }
}

TEST_F(GenerateEmbedded, SeedsAndSamplesChangeTexts) {
  const auto texts = [&](const std::string& name, const std::vector<std::string>& more) {
    EXPECT_EQ(
        run_charm(embedded(name, join({{"--temperature", "1.0", "--top-p", "1"}, more}))).code, 0);
    std::vector<std::string> all;
    for (const json& row : rows_of(path(name))) all.push_back(row["response"]);
    return all;
  };
  const auto one = texts("one.jsonl", {"--seed", "1"}), two = texts("two.jsonl", {"--seed", "2"}),
             again = texts("again.jsonl", {"--seed", "1", "--batch", "3"});
  EXPECT_EQ(one, again);
  EXPECT_NE(one, two);
  const auto samples = texts("samples.jsonl", {"--seed", "1", "--n", "2"});
  ASSERT_EQ(samples.size(), 2 * one.size());
  EXPECT_EQ(samples[0], one[0]);  // sample 0 does not depend on --n
  const json row = rows_of(path("samples.jsonl"))[0];
  EXPECT_EQ(row["top_k"], 0);
  EXPECT_EQ(row["finish_reason"], "length");
  EXPECT_EQ(row["num_tokens"], 24);
}

TEST_F(GenerateEmbedded, TheModelsGenerationConfigHoldsWhereNothingIsGiven) {
  const auto generated = [&](const std::string& name, const std::vector<std::string>& more = {}) {
    const Outcome outcome =
        run_charm(embedded(name, join({{"--temperature", "1.0", "--top-p", "1"}, more})));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<json> rows = rows_of(path(name));
    return std::pair(rows, outcome.err);
  };
  const auto plain = generated("plain.jsonl").first,
             penalised = generated("penalised.jsonl", {"--repetition-penalty", "1.3"}).first;
  const auto texts = [](const std::vector<json>& rows) {
    std::vector<std::string> all;
    for (const json& row : rows) all.push_back(row["response"]);
    return all;
  };
  ASSERT_NE(texts(plain), texts(penalised));
  write_file(path("lm/generation_config.json"),
             R"({"repetition_penalty": 1.3, "do_sample": true, "no_repeat_ngram_size": 2})");
  const auto [own, messages] = generated("own.jsonl");
  EXPECT_EQ(own, penalised);
  EXPECT_THAT(messages, HasSubstr("no_repeat_ngram_size is 2"));
  EXPECT_EQ(generated("off.jsonl", {"--repetition-penalty", "1"}).first, plain);
}

TEST_F(GenerateEmbedded, InvalidOptions) {
  expect_failure(embedded("new.jsonl", {"--cache-memory", "0.0000001"}), 6, {"--cache-memory"},
                 path("new.jsonl"));
  expect_failure(embedded("new.jsonl", {"--cache-memory", "0"}), 2, {"--cache-memory"},
                 path("new.jsonl"));
  expect_failure({"generate", "--prompts", responses("helper"), "--policy", "p", "--model",
                  path("nowhere"), "--output", path("new.jsonl")},
                 4, {"nowhere"}, path("new.jsonl"));
  const Outcome rm = run_charm({"generate", "--prompts", responses("helper"), "--policy", "p",
                                "--model", path("rm"), "--output", path("new.jsonl")});
  EXPECT_EQ(rm.code, 3) << rm.err;
  const Outcome disk = run_charm(embedded("disk.jsonl"), {.max_file_bytes = 2000, .kill_when = {}});
  EXPECT_EQ(disk.code, 4) << disk.err;
  EXPECT_FALSE(fs::exists(path("disk.jsonl")));
}

}  // namespace
}  // namespace charm::e2e
