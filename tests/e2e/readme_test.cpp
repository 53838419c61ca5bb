// The commands of README.md, "With your own reward model and responses", run in order on small
// files of the names that they use.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "charm/base/files.h"
#include "charm/engine/safetensors.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/e2e/small_world.h"
#include "tests/support/source_dir.h"
#include "tests/support/tensors.h"

namespace charm::e2e {
namespace {

using nlohmann::json;

constexpr const char* kSection = "## With your own reward model and responses";

/// Stands in front of an option that a model as small as the test's needs.
constexpr const char* kSmallModel = "# below a billion weights: ";

/// The indented lines of the section, with what they say of small models.
std::vector<std::string> readme_commands() {
  std::istringstream lines(read_file(fs::path(test::kSourceDir) / "README.md"));
  std::vector<std::string> commands;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == kSection;
    if (!inside || !line.starts_with("    ")) continue;
    if (const std::size_t at = line.find(kSmallModel); at != std::string::npos)
      line.erase(at, std::string(kSmallModel).size());
    commands.push_back(line.substr(4));
  }
  return commands;
}

class Readme : public SmallWorld {
 protected:
  Readme() {
    num_annotations_ = 600;
    num_prompts_ = 200;  // of which at least 30 are held out
  }

  /// The files that a reader brings along.
  void bring_files() {
    bring_responses("showman", "gemma-2-9b-it-SimPO");
    bring_responses("helper", "gpt-4o-mini");
    write_file(path("ratings.json"), R"({"gemma-2-9b-it-SimPO": 1216, "gpt-4o-mini": 1273})");
    bring_benchmark();
    // A reward model with a bias, and margins that are logits: weights drawn at random have
    // neither.
    const Outcome outcome =
        run_charm({"train", "--model", path("world/untrained_model"), "--new-head", "--preferences",
                   path("world/annotations.jsonl"), "--output", path("my-rm"), "--learning-rate",
                   "2e-3", "--epochs", "3", "--pairs-per-step", "64", "--max-tokens", "256"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    create_folders(path("build/release/bin"));
    fs::remove(path("recipe.yaml"));  // the world's; the reader writes one
  }

  /// Runs the lines in one shell. @return 0, or the number of the line that failed
  Outcome run_lines(const std::vector<std::string>& lines) {
    std::string script = fmt::format(
        "cd '{}' && ln -s \"$1\" build/release/bin/charm || exit 100\n"
        "export PATH=$PWD/build/release/bin:$PATH\n",
        dir_.string());
    for (std::size_t i = 0; i < lines.size(); ++i)
      script += fmt::format("{}\n[ $? -eq 0 ] || exit {}\n", lines[i], i + 1);
    write_file(path("readme.sh"), script);
    return run_charm({}, {.launcher = {"sh", path("readme.sh")}});
  }

  json read_json(const std::string& name) { return json::parse(read_file(path(name))); }

  double mean_mismatch(const std::string& name) {
    double sum = 0.0;
    const json pairs = read_json(name)["pairs"];
    for (const json& pair : pairs) sum += std::abs(pair["mismatch_before"].get<double>());
    return sum / static_cast<double>(pairs.size());
  }

  bool weights_differ(const std::string& a, const std::string& b) {
    const engine::SafetensorsFile first(path(a) + "/model.safetensors"),
        second(path(b) + "/model.safetensors");
    for (const auto& [name, info] : first.tensors()) {
      if (!test::equal(first.view(name), second.view(name))) return true;
    }
    return false;
  }

 private:
  void bring_responses(const std::string& from, const std::string& to) {
    std::vector<Response> rows = storage::read_responses(responses(from), {});
    for (Response& row : rows) row.policy = to;
    storage::write_responses(path(to + ".jsonl"), rows);
  }

  /// RM-Bench as it is published: one list of all domains.
  void bring_benchmark() {
    const std::vector<std::string> domains = {"chat", "code", "math", "safety-refuse",
                                              "safety-response"};
    json rows = read_json("world/style_pairs.json");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i]["domain"] = domains[i % domains.size()];
      rows[i]["id"] = fmt::format("{}/{}", domains[i % domains.size()], i);
    }
    write_file(path("total_dataset.json"), rows.dump());
  }
};

TEST_F(Readme, CommandsRunInOrderAndTrainTheModel) {
  ASSERT_NO_FATAL_FAILURE(bring_files());
  const std::vector<std::string> commands = readme_commands();
  ASSERT_GE(commands.size(), 10u);
  const Outcome outcome = run_lines(commands);
  ASSERT_EQ(outcome.code, 0) << "line: "
                             << (outcome.code >= 1 && outcome.code <= std::ssize(commands)
                                     ? commands[outcome.code - 1]
                                     : "")
                             << "\n"
                             << outcome.err;
  EXPECT_TRUE(weights_differ("my-rm", "my-rm-charm"));
  EXPECT_GT(read_json("my-rm-charm/manifest.json")["num_steps"], 1);
  // On prompts that neither calibration nor training has seen.
  const double before = mean_mismatch("held-out.json"),
               after = mean_mismatch("held-out-after.json");
  RecordProperty("held_out_mismatch_before", fmt::format("{:.3f}", before));
  RecordProperty("held_out_mismatch_after", fmt::format("{:.3f}", after));
  EXPECT_GT(before, 0.2);
  EXPECT_LT(after, 0.8 * before);
  EXPECT_GE(read_json("held-out.json")["num_prompts"], 30);
  EXPECT_EQ(read_json("held-out.json")["num_prompts"],
            read_json("calibration.json")["held_out"]["num_prompts"]);
  EXPECT_THAT(outcome.out, testing::HasSubstr("gemma-2-9b-it-SimPO"));
  EXPECT_TRUE(fs::exists(path("recipe.yaml")));
  EXPECT_TRUE(fs::exists(path("run/preferences")));
  EXPECT_TRUE(read_json("after/rm-bench.json")["overall"].is_number());
  // The page has them all: the model before and after on held-out prompts, and its benchmarks.
  const std::string report = read_file(path("report.html"));
  for (const char* part : {"after training: my-rm-charm<", "<h3>my-rm trained on calibration</h3>",
                           "under my-rm-charm; on the same rows"})
    EXPECT_THAT(report, testing::HasSubstr(part));
}

}  // namespace
}  // namespace charm::e2e
