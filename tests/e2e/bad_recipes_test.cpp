// What is wrong with a recipe is found before any work, by `charm check` and by `charm run` in the
// same words and with the same exit code.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"
#include "tests/support/repeated_prefix.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;

/// A change of a good recipe that makes it a bad one.
struct BadRecipe {
  std::string from;  ///< text to replace; empty: `to` is appended
  std::string to;
  int code;
  std::vector<std::string> parts;  ///< of the last line
};

class BadRecipes : public SmallWorld {
 protected:
  BadRecipes() { num_prompts_ = 160; }

  std::string good() const {
    return "run_dir: run\n"
           "seed: 1\n"
           "holdout: 0.3\n"
           "policies:\n"
           "  - {name: scholar, responses: world/responses/scholar.jsonl}\n"
           "  - {name: helper, responses: world/responses/helper.jsonl}\n"
           "  - {name: showman, responses: world/responses/showman.jsonl}\n"
           "ratings: world/ratings.json\n"
           "score: {model: rm, max_tokens: 512}\n"
           "measure: {bootstrap: 10}\n"
           "calibrate: {reference: helper, bootstrap: 10}\n"
           "prefer: {pairs: all}\n"
           "train: {epochs: 1}\n"
           "evaluate:\n"
           "  - {benchmark: arena}\n";
  }

  std::string changed(const BadRecipe& bad) const {
    std::string text = good();
    if (bad.from.empty()) return text + bad.to;
    const std::size_t at = text.find(bad.from);
    EXPECT_NE(at, std::string::npos) << bad.from;
    return text.replace(at, bad.from.size(), bad.to);
  }

  /// The last line on stderr without the program's name.
  static std::string last_line(const std::string& command, const Outcome& outcome) {
    const std::string begin = "charm " + command + ": error: ";
    const std::size_t at = outcome.err.rfind(begin);
    EXPECT_NE(at, std::string::npos) << outcome.err;
    return at == std::string::npos ? "" : outcome.err.substr(at + begin.size());
  }

  void expect_refused(const std::string& recipe, int code, const std::vector<std::string>& parts) {
    const Outcome check = run_charm({"check", recipe}), run = run_charm({"run", recipe});
    EXPECT_EQ(check.code, code) << check.err;
    EXPECT_EQ(run.code, code) << run.err;
    const std::string line = last_line("check", check);
    EXPECT_EQ(line, last_line("run", run));
    for (const std::string& part : parts) EXPECT_THAT(line, HasSubstr(part));
    EXPECT_EQ(test::repeated_prefix(line), "") << line;
    EXPECT_FALSE(fs::is_directory(path("run"))) << "work began";
  }
};

TEST_F(BadRecipes, TheRecipeThatTheyChangeIsGood) {
  write_file(path("r.yaml"), good());
  const Outcome outcome = run_charm({"check", path("r.yaml")});
  EXPECT_EQ(outcome.code, 0) << outcome.err << outcome.out;
}

TEST_F(BadRecipes, CheckAndRunEndAlike) {
  write_file(path("a_file"), "x");
  // Of each kind a few: tests/unit/pipeline/recipe_test.cpp has every key and value.
  const std::vector<BadRecipe> all = {
      // The file as a whole.
      {good(), "", 3, {"r.yaml:1: the recipe: expected a map of keys"}},
      {"seed: 1", "seed: [", 3, {"not valid YAML"}},
      {"seed: 1", "seed: 1\nseed: 2", 3, {"r.yaml:3: key 'seed' is given twice"}},
      // Values.
      {"max_tokens: 512", "max_tokens: 0", 3, {"r.yaml:9: score.max_tokens: expected 1 or more"}},
      {"holdout: 0.3", "holdout: 1.5", 3, {"r.yaml:3: holdout: expected at least 0 and less than"}},
      {"epochs: 1", "epochs: -1", 3, {"r.yaml:13: train.epochs: expected more than 0, found -1"}},
      {"benchmark: arena", "benchmark: bench", 3, {"evaluate.benchmark: unknown benchmark"}},
      // Settings that exclude each other, or do not suit the model.
      {"epochs: 1", "use_margin: true, soft_labels: true", 3, {"r.yaml:13: train: --use-margin"}},
      {"reference: helper", "reference: helper, solver: adam", 3, {"calibrate: --solver adam"}},
      {"epochs: 1", "layers: 99", 3, {"--layers 99", "layers"}},
      {"epochs: 1", "new_head: true", 3, {"--new-head", "trained head"}},
      // What the recipe names.
      {"run_dir: run", "run_dir: a_file", 4, {"r.yaml:1: run_dir: ", "a_file' is a file"}},
      {"responses/helper.jsonl", "gone.jsonl", 4, {"r.yaml:6: policies.responses: ", "not exist"}},
      {"ratings: world/ratings.json", "ratings: gone.json", 4, {"r.yaml:8: ratings: "}},
      {"model: rm", "model: rn", 4, {"r.yaml:9: score: ", "rn: no such folder"}},
      {"max_tokens: 512", "template: gone.jinja", 4, {"r.yaml:9: score.template: "}},
      {"name: helper", "name: nobody", 3, {"problems would end the run, first: "}},
      // Several problems, of one kind and of two.
      {"seed: 1\nholdout: 0.3", "seed: x\nholdout: y", 3, {"2 problems would end the run"}},
      {"seed: 1\nholdout: 0.3", "seed: x\nprepare: gone.jsonl", 3, {"2 problems would end"}},
  };
  for (const BadRecipe& bad : all) {
    SCOPED_TRACE(bad.to.empty() ? bad.from : bad.to);
    write_file(path("r.yaml"), changed(bad));
    expect_refused(path("r.yaml"), bad.code, bad.parts);
  }
  expect_refused(path("absent.yaml"), 4, {"absent.yaml"});
}

TEST_F(BadRecipes, JsonIsPrintedWhateverIsWrong) {
  for (const char* text : {"seed: [", "", "seed: 1\n"}) {
    write_file(path("r.yaml"), text);
    const Outcome outcome = run_charm({"check", path("r.yaml"), "--json"});
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    const nlohmann::json problems = nlohmann::json::parse(outcome.out)["problems"];
    ASSERT_FALSE(problems.empty()) << outcome.out;
    EXPECT_EQ(problems[0]["kind"], "input");
  }
}

TEST_F(BadRecipes, ArenaNeedsThreePolicies) {
  write_file(
      path("r.yaml"),
      changed({"  - {name: showman, responses: world/responses/showman.jsonl}\n", "", 0, {}}));
  expect_refused(path("r.yaml"), 3,
                 {"r.yaml:14: evaluate: arena", "at least 3 policies, found 2; remove it"});
}

TEST_F(BadRecipes, ResponsesMayHaveOtherColumns) {
  std::string text = read_file(path("world/responses/helper.jsonl"));
  for (std::size_t at = 0; (at = text.find("\"response\":", at)) != std::string::npos;)
    text.replace(at, 11, "\"answer\":");
  write_file(path("world/responses/helper.jsonl"), text);
  write_file(path("r.yaml"), good());
  expect_refused(path("r.yaml"), 3, {"helper.jsonl"});
  write_file(path("r.yaml"),
             changed({"helper.jsonl}", "helper.jsonl, response_column: answer}", 0, {}}));
  Outcome outcome = run_charm({"run", path("r.yaml"), "--until", "measure"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(path("run/mismatch/rm.json")));
  // Section score names those of all policies; a policy's own goes first.
  for (const char* name : {"scholar", "showman"}) {
    const std::string file = path(std::string("world/responses/") + name + ".jsonl");
    std::string rows = read_file(file);
    for (std::size_t at = 0; (at = rows.find("\"response\":", at)) != std::string::npos;)
      rows.replace(at, 11, "\"answer\":");
    write_file(file, rows);
  }
  write_file(path("r.yaml"), changed({"model: rm,", "model: rm, response_column: answer,", 0, {}}));
  outcome = run_charm({"run", path("r.yaml"), "--until", "score"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace charm::e2e
