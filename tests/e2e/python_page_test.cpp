// The blocks of docs/python-and-slurm.md, run in order in one folder. Blocks of Python need the
// libraries that they import; without them they are skipped and named.

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"
#include "tests/support/source_dir.h"

namespace charm::e2e {
namespace {

struct Block {
  std::string language;
  std::string text;
  std::size_t line = 0;  ///< of the page, of the fence
};

std::vector<Block> blocks_of_page() {
  std::istringstream lines(read_file(fs::path(test::kSourceDir) / "docs/python-and-slurm.md"));
  std::vector<Block> blocks;
  bool inside = false;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({.language = line.substr(3), .text = "", .line = number});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

/// The modules that a block imports.
std::set<std::string> modules_of(const std::string& text) {
  static const std::regex kImport(R"((?:^|\n)(?:import|from) (\w+))");
  std::set<std::string> modules;
  for (std::sregex_iterator match(text.begin(), text.end(), kImport), end; match != end; ++match)
    modules.insert((*match)[1].str());
  return modules;
}

class PythonPage : public SmallWorld {
 protected:
  PythonPage() { num_prompts_ = 40; }

  /// The files that the page begins with.
  void bring_files() {
    fs::rename(path("rm"), path("my-rm"));
    std::string lines;
    for (const char* policy : {"helper", "intern", "showman"}) {
      std::istringstream rows(read_file(responses(policy)));
      for (std::string line; std::getline(rows, line);) {
        const auto row = nlohmann::json::parse(line);
        lines +=
            nlohmann::json(
                {{"question", row["prompt"]}, {"answer", row["response"]}, {"model_name", policy}})
                .dump() +
            "\n";
      }
    }
    write_file(path("answers.jsonl"), lines);
    fs::copy_file(path("world/ratings.json"), path("ratings.json"));
    create_folders(path("bin"));
  }

  /// Runs a script in the folder, with `charm` and Python on the PATH.
  Outcome run_script(const std::string& name, const std::string& text) {
    const char* python = std::getenv("CHARM_PAGE_PYTHON");
    write_file(path(name),
               fmt::format("set -e\ncd '{}'\nln -sf \"$1\" bin/charm\n"
                           "export PATH=\"$PWD/bin:$PATH\" PYTHON='{}'\n{}",
                           dir_.string(), python != nullptr ? python : "python3", text));
    return run_charm({}, {.environment = {{"HF_HUB_OFFLINE", "1"},
                                          {"HF_DATASETS_CACHE", path("hf")},
                                          {"TOKENIZERS_PARALLELISM", "false"}},
                          .launcher = {"bash", path(name)}});
  }

  /// Modules that this machine's Python lacks, of those that a block needs.
  std::vector<std::string> missing(const std::string& text) {
    std::vector<std::string> lacking;
    for (const std::string& module : modules_of(text)) {
      const auto known = has_.find(module);
      if (known == has_.end()) {
        const Outcome outcome = run_script("probe.sh", "\"$PYTHON\" -c 'import " + module + "'\n");
        has_[module] = outcome.code == 0;
      }
      if (!has_.at(module)) lacking.push_back(module);
    }
    return lacking;
  }

 private:
  std::map<std::string, bool> has_;
};

TEST_F(PythonPage, EveryBlockRuns) {
  bring_files();
  const std::vector<Block> blocks = blocks_of_page();
  ASSERT_GT(blocks.size(), 15u);
  std::vector<std::string> skipped;
  bool has_responses = true;
  for (const Block& block : blocks) {
    const std::string where = fmt::format("docs/python-and-slurm.md:{}", block.line);
    std::string script = block.text;
    if (block.language == "python") {
      if (const auto lacking = missing(block.text); !lacking.empty()) {
        skipped.push_back(fmt::format("{} (no {})", where, fmt::join(lacking, ", ")));
        has_responses = has_responses && block.text.find("all.parquet") == std::string::npos;
        continue;
      }
      write_file(path("block.py"), block.text);
      script = "\"$PYTHON\" block.py\n";
    }
    if (!has_responses) {
      GTEST_SKIP() << "the page's files are made with pandas and datasets, which $PYTHON lacks; "
                      "set CHARM_PAGE_PYTHON";
    }
    const bool is_array = block.text.find("SLURM_ARRAY_TASK_ID") != std::string::npos;
    for (int task = 0; task < (is_array ? 3 : 1); ++task) {
      const Outcome outcome =
          run_script("block.sh", fmt::format("export SLURM_ARRAY_TASK_ID={}\n"
                                             "export SLURM_ARRAY_TASK_COUNT=3\n{}",
                                             task, script));
      ASSERT_EQ(outcome.code, 0) << where << "\n" << block.text << outcome.out << outcome.err;
    }
  }
  if (!skipped.empty())
    std::printf("[  SKIPPED ] blocks: %s\n", fmt::format("{}", fmt::join(skipped, "; ")).c_str());
}

}  // namespace
}  // namespace charm::e2e
