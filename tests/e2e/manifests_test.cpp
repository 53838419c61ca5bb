// Manifests record every option that the output depends on: each command's manifests are compared
// with its option table.

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "charm/base/files.h"
#include "charm/cli/command.h"
#include "charm/storage/manifest.h"
#include "tests/e2e/small_world.h"
#include "tests/support/fake_llm.h"

namespace charm::e2e {
namespace {

using nlohmann::json;

/// Options that are recorded as facts about the generator.
const std::map<std::string, std::string> kFacts = {
    {"server", "/servers"},
    {"server-model", "/options/generator/server_model"},
    {"endpoint", "/options/generator/endpoint"},
    {"extra-body", "/options/generator/extra_body"},
    {"dtype", "/options/generator/dtype"},
    {"device", "/options/generator/device"},
    {"bos", "/options/generator/bos"}};

class Manifests : public SmallWorld {
 protected:
  Manifests() { num_prompts_ = 40; }

  void succeed(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_charm(arguments);
    ASSERT_EQ(outcome.code, 0) << arguments.front() << ": " << outcome.err;
  }
  json manifest(const std::string& output) const {
    return json::parse(read_file(storage::manifest_path(path(output))));
  }

  /// Compares the options of a command with the manifests of its outputs, one per mode.
  void expect_complete(cli::Command& command, const std::vector<std::string>& outputs) {
    OptionTable table;
    command.describe(table);
    const auto is_recorded = [&](const std::string& pointer) {
      return std::any_of(outputs.begin(), outputs.end(), [&](const std::string& output) {
        return manifest(output).contains(json::json_pointer(pointer));
      });
    };
    for (const Option& option : table.options()) {
      const std::string what = std::string(command.name()) + " --" + option.name;
      const std::string named = "/options/" + option.name;
      switch (option.recorded) {
        case Recorded::kAsOption:
          EXPECT_TRUE(is_recorded(option.name == "seed" ? "/seed" : named)) << what;
          break;
        case Recorded::kNowhere:
          EXPECT_FALSE(is_recorded(named)) << what;
          break;
        case Recorded::kElsewhere:
          if (option.is_path) break;  // an input or an output
          ASSERT_TRUE(kFacts.contains(option.name)) << what << ": where is it recorded?";
          EXPECT_TRUE(is_recorded(kFacts.at(option.name))) << what;
          break;
      }
    }
  }
};

TEST_F(Manifests, RecordEveryOptionThatTheResultDependsOn) {
  const std::string ratings = path("world/ratings.json");
  succeed({"prepare", "--input", responses("helper"), "--output", path("p.jsonl"), "--limit", "4"});
  testing::FakeLlm server;
  const std::vector<std::string> generate = {"generate", "--prompts", path("p.jsonl"), "--policy",
                                             "new"};
  succeed(join({generate,
                {"--output", path("asked.jsonl"), "--server", server.url(), "--server-model",
                 "tiny", "--extra-body", R"({"x": 1})"}}));
  succeed(join({generate,
                {"--output", path("own.jsonl"), "--model", path("world/untrained_model"),
                 "--max-new-tokens", "4"}}));
  score_all();
  write_file(path("battles.jsonl"), R"({"model_a": "a", "model_b": "b", "winner": "model_a"}
{"model_a": "a", "model_b": "b", "winner": "model_b"}
)");
  succeed({"rate", "--battles", path("battles.jsonl"), "--output", path("rated.json")});
  succeed(join({{"measure", "--ratings", ratings, "--output", path("m.json"), "--bootstrap", "10",
                 "--scores"},
                all_scores()}));
  succeed(join({{"calibrate", "--ratings", ratings, "--reference", "helper", "--output",
                 path("c.json"), "--bootstrap", "10", "--scores"},
                all_scores()}));
  succeed(join(
      {{"prefer", "--calibration", path("c.json"), "--output", path("pairs.jsonl"), "--scores"},
       all_scores()}));
  succeed({"train", "--model", path("rm"), "--preferences", path("pairs.jsonl"), "--output",
           path("trained"), "--max-steps", "1", "--pairs-per-step", "4", "--dtype", "float32"});
  succeed({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
           path("world/style_pairs.json"), "--output", path("bench.json"), "--bootstrap", "10"});
  const auto arena = [&](const std::string& output) {
    return join({{"evaluate", "--benchmark", "arena", "--ratings", ratings, "--output",
                  path(output), "--bootstrap", "10", "--scores"},
                 all_scores()});
  };
  succeed(arena("arena.json"));
  succeed({"evaluate", "--compare", path("arena.json"), path("arena.json"), "--output",
           path("compared.json"), "--bootstrap", "10"});
  succeed(join({{"explain", "--calibration", path("c.json"), "--output", path("e.json"),
                 "--bootstrap", "10", "--scores"},
                all_scores()}));

  const std::map<std::string, std::vector<std::string>> outputs = {
      {"prepare", {"p.jsonl"}},
      {"generate", {"asked.jsonl", "own.jsonl"}},
      {"score", {"scores"}},
      {"rate", {"rated.json"}},
      {"measure", {"m.json"}},
      {"calibrate", {"c.json"}},
      {"prefer", {"pairs.jsonl"}},
      {"train", {"trained"}},
      {"evaluate", {"bench.json", "compared.json"}},
      {"explain", {"e.json"}}};
  const std::set<std::string> without = {"report", "run",   "inspect", "demo",
                                         "show",   "check", "init",    "serve"};
  for (const auto& command : cli::make_commands()) {
    const std::string name(command->name());
    if (without.contains(name)) continue;
    ASSERT_TRUE(outputs.contains(name)) << name << ": does it write a manifest?";
    expect_complete(*command, outputs.at(name));
  }
  const json options = manifest("compared.json")["options"];
  for (const char* option :
       {"compare", "benchmark", "bootstrap", "max-bad-rows", "left-out", "category", "alias"})
    EXPECT_TRUE(options.contains(option)) << option;
  const json bench = manifest("bench.json")["options"];
  for (const char* option : {"category", "alias", "model", "model-name", "max-tokens", "dtype"})
    EXPECT_TRUE(bench.contains(option)) << option;
}

TEST_F(Manifests, ScoresOlderThanAnOptionAreKept) {
  const auto score = [&](const std::vector<std::string>& more) {
    const Outcome outcome =
        run_charm(join({{"score", "--model", path("rm"), "--responses", responses("helper"),
                         responses("intern"), "--output", path("scores"), "--dtype", "float32"},
                        more}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  score({});
  json old = manifest("scores");
  EXPECT_EQ(old["options"].erase("template-date"), 1u);
  for (json& entry : old["outputs"]) entry["fingerprint"] = "of fewer options";
  fs::remove(storage::manifest_path(path("scores")));
  write_file(path("scores/manifest.json"), old.dump());  // where versions of that time wrote it
  EXPECT_THAT(score({}), ::testing::HasSubstr("--fresh scores again"));
  EXPECT_THAT(score({"--template-date", "2025-01-31"}),
              ::testing::Not(::testing::HasSubstr("--fresh scores again")));
}

TEST_F(Manifests, AnotherAliasIsAnotherResult) {
  score_all();
  const auto evaluate = [&](const std::vector<std::string>& more) {
    succeed(join({{"evaluate", "--benchmark", "arena", "--ratings", path("world/ratings.json"),
                   "--output", path("arena.json"), "--bootstrap", "0", "--scores"},
                  all_scores(),
                  more}));
    return json::parse(read_file(path("arena.json")))["policies"];
  };
  const json before = evaluate({});
  EXPECT_EQ(manifest("arena.json")["options"]["alias"], json::object());
  const json after = evaluate({"--alias", "showman=scholar"});
  EXPECT_NE(after["showman"]["rating"], before["showman"]["rating"]);
  EXPECT_EQ(after["showman"]["rating"], before["scholar"]["rating"]);
  EXPECT_EQ(manifest("arena.json")["options"]["alias"], json({{"showman", "scholar"}}));
}

}  // namespace
}  // namespace charm::e2e
