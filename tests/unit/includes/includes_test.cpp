// Reads the #include lines of src/charm and fails when an arrow of dependence points right, when a
// foreign library is named outside its folder, or when a file grows beyond its limit; and the
// tests, which must say what kind of error they expect.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "tests/support/source_dir.h"

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxLines = 500;

/// base < records < results < { stats, storage, hub, text } < kernels < engine < { torch, stages }
/// < { explain, show, report, demo, serve } < pipeline < cli < capi; nothing includes torch, which
/// is a plug-in
const std::map<std::string, int> kRanks = {
    {"base", 0},      {"records", 1},  {"results", 2}, {"stats", 3},    {"storage", 3},
    {"hub", 3},       {"text", 3},     {"kernels", 4}, {"engine", 5},   {"torch", 6},
    {"prepare", 7},   {"generate", 7}, {"score", 7},   {"rate", 7},     {"measure", 7},
    {"calibrate", 7}, {"prefer", 7},   {"train", 7},   {"evaluate", 7}, {"report", 8},
    {"explain", 8},   {"show", 8},     {"demo", 8},    {"serve", 8},    {"pipeline", 9},
    {"cli", 10},      {"capi", 11}};

struct ForeignLibrary {
  std::string prefix;             ///< how its includes begin
  std::set<std::string> folders;  ///< where they may stand
};
const std::vector<ForeignLibrary> kForeign = {{"arrow/", {"storage"}}, {"parquet/", {"storage"}},
                                              {"zlib.h", {"storage"}}, {"yaml-cpp/", {"pipeline"}},
                                              {"curl/", {"hub"}},      {"boost/", {"serve"}},
                                              {"openssl/", {"base"}},  {"hwy/", {"kernels"}}};

struct IncludeLine {
  std::string folder;  ///< folder of the including file, "" for files directly under src/charm
  std::string target;  ///< what stands between the quotes or angle brackets
  bool header = false;
};

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

bool names_torch(const std::string& target) {
  return starts_with(target, "torch/") || starts_with(target, "ATen/") ||
         starts_with(target, "c10/");
}

/// What is wrong with one include, if anything.
std::optional<std::string> complaint(const IncludeLine& line) {
  if (names_torch(line.target)) {
    if (line.target == "torch/torch.h" || line.target == "ATen/ATen.h")
      return "includes all of torch: name single operators";
    if (line.folder != "torch") return "folder '" + line.folder + "' compiles without torch";
    return std::nullopt;
  }
  if (line.folder != "torch" && starts_with(line.target, "charm/torch/"))
    return "torch is a plug-in: engine/plugin.h loads it";
  for (const ForeignLibrary& library : kForeign) {
    if (!starts_with(line.target, library.prefix)) continue;
    if (library.folders.count(line.folder) == 0)
      return "'" + library.prefix + "' belongs to another folder";
    if (line.header && line.folder != "base")
      return "a header shows the foreign library '" + library.prefix + "'";
    return std::nullopt;
  }
  if (!starts_with(line.target, "charm/")) return std::nullopt;
  const std::string rest = line.target.substr(6);
  const std::string to = rest.substr(0, rest.find('/'));
  if (to == line.folder) return std::nullopt;
  const auto from_rank = kRanks.find(line.folder);
  const auto to_rank = kRanks.find(to);
  if (from_rank == kRanks.end()) return "folder '" + line.folder + "' has no place in the order";
  if (to_rank == kRanks.end()) return "folder '" + to + "' has no place in the order";
  if (line.folder == "evaluate" && to == "score")
    return std::nullopt;  // the one sanctioned sideways edge between stages
  if (to_rank->second < from_rank->second) return std::nullopt;
  return "'" + line.folder + "' may not include '" + to + "'";
}

/// The target of an #include line, empty for other lines.
std::string include_target(const std::string& text) {
  const std::size_t hash = text.find_first_not_of(" \t");
  if (hash == std::string::npos || text[hash] != '#') return {};
  const std::size_t word = text.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || text.compare(word, 7, "include") != 0) return {};
  const std::size_t open = text.find_first_of("\"<", word + 7);
  if (open == std::string::npos) return {};
  const std::size_t close = text.find_first_of("\">", open + 1);
  if (close == std::string::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

std::vector<fs::path> source_files(const fs::path& root = fs::path(charm::test::kSourceDir) /
                                                          "src" / "charm") {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && (extension == ".h" || extension == ".cpp"))
      files.push_back(entry.path());
  }
  return files;
}

/// Whether a test takes a charm::Error of any kind: gtest's own macros for exceptions with `Error`.
bool takes_any_error(const std::string& text) {
  for (std::size_t at = text.find("_THROW("); at != std::string::npos;
       at = text.find("_THROW(", at + 1)) {
    int depth = 0;
    std::size_t end = text.find('(', at), last_comma = end;
    for (; end < text.size(); ++end) {
      if (text[end] == '(') ++depth;
      if (text[end] == ')' && --depth == 0) break;
      if (text[end] == ',' && depth == 1) last_comma = end;
    }
    std::string type;
    for (const char c : text.substr(last_comma + 1, end - last_comma - 1)) {
      if (c != ' ' && c != '\n') type += c;
    }
    if (type == "Error" || type.ends_with("charm::Error")) return true;
  }
  return text.find(std::string("EXPECT_ANY") + "_THROW") != std::string::npos;
}

TEST(Includes, ArrowsPointLeft) {
  const fs::path root = fs::path(charm::test::kSourceDir) / "src" / "charm";
  std::size_t num_includes = 0;
  for (const fs::path& file : source_files()) {
    const fs::path relative = file.lexically_relative(root);
    std::ifstream in(file);
    std::size_t number = 0;
    for (std::string text; std::getline(in, text);) {
      ++number;
      const std::string target = include_target(text);
      if (target.empty()) continue;
      ++num_includes;
      const auto wrong = complaint({.folder = relative.begin()->string(),
                                    .target = target,
                                    .header = file.extension() == ".h"});
      EXPECT_FALSE(wrong.has_value())
          << relative.string() << ":" << number << ": " << target << ": " << wrong.value_or("");
    }
  }
  EXPECT_GT(num_includes, 50u) << "the test looked in the wrong place";
}

TEST(Includes, TestsAndBenchmarksOfTheProgramDoWithoutTorch) {
  const fs::path root(charm::test::kSourceDir);
  for (const char* folder : {"tests", "bench"}) {
    for (const fs::path& file : source_files(root / folder)) {
      const std::string name = file.lexically_relative(root).string();
      if (starts_with(name, "tests/torch/") || name == "bench/gpu_score_bench.cpp") continue;
      std::ifstream in(file);
      for (std::string text; std::getline(in, text);) {
        const std::string target = include_target(text);
        EXPECT_FALSE(names_torch(target) || starts_with(target, "charm/torch/"))
            << name << ": " << target;
      }
    }
  }
}

TEST(Includes, FilesStayShort) {
  for (const fs::path& file : source_files()) {
    std::ifstream in(file);
    std::size_t lines = 0;
    for (std::string text; std::getline(in, text);) ++lines;
    EXPECT_LE(lines, kMaxLines) << file.string() << ": look for the seam";
  }
}

TEST(Includes, FoldersIntroduceThemselves) {
  std::set<fs::path> folders;
  for (const fs::path& file : source_files()) folders.insert(file.parent_path());
  for (const fs::path& folder : folders) {
    EXPECT_TRUE(fs::exists(folder / "README.md")) << folder.string() << " has no README.md";
  }
}

TEST(Tests, ExpectErrorsOfOneKind) {
  const std::vector<fs::path> files = source_files(fs::path(charm::test::kSourceDir) / "tests");
  EXPECT_GT(files.size(), 50u) << "the test looked in the wrong place";
  for (const fs::path& file : files) {
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    EXPECT_FALSE(takes_any_error(text))
        << file.string() << ": say which with EXPECT_ERROR of tests/support/expect_error.h";
  }
}

TEST(Tests, TheRuleTellsErrorsApart) {
  const std::string macro = "EXPECT_THROW";
  EXPECT_TRUE(takes_any_error(macro + "(run(1, {2}), Error);"));
  EXPECT_TRUE(takes_any_error(macro + "(\n    run(1),\n    charm::Error);"));
  EXPECT_FALSE(takes_any_error(macro + "(run(1), std::runtime_error);"));
  EXPECT_FALSE(takes_any_error("EXPECT_ERROR(kUsage, \"x\", run(1, Error));"));
}

TEST(Includes, TheRuleCatchesWhatItMust) {
  EXPECT_TRUE(complaint({"base", "charm/records/response.h"}));
  EXPECT_TRUE(complaint({"text", "charm/storage/manifest.h"}));
  EXPECT_TRUE(complaint({"score", "charm/evaluate/evaluate.h"}));
  EXPECT_TRUE(complaint({"train", "charm/score/scorer.h"}));
  EXPECT_TRUE(complaint({"demo", "charm/pipeline/recipe.h"}));
  EXPECT_TRUE(complaint({"report", "charm/explain/explanation.h"}));
  EXPECT_TRUE(complaint({"records", "charm/unheard_of/x.h"}));
  EXPECT_TRUE(complaint({"measure", "ATen/core/Tensor.h"}));
  EXPECT_TRUE(complaint({"torch", "torch/torch.h"}));
  EXPECT_TRUE(complaint({"train", "ATen/ops/add.h"}));
  EXPECT_TRUE(complaint({"engine", "ATen/core/Tensor.h"}));
  EXPECT_TRUE(complaint({"engine", "charm/torch/decoder.h"}));
  EXPECT_TRUE(complaint({"cli", "charm/torch/back_end.h"}));
  EXPECT_TRUE(complaint({"measure", "arrow/api.h"}));
  EXPECT_TRUE(complaint({"cli", "yaml-cpp/yaml.h"}));
  EXPECT_TRUE(complaint({"pipeline", "yaml-cpp/yaml.h", true}));
}

TEST(Includes, TheRuleAllowsWhatItMust) {
  EXPECT_FALSE(complaint({"evaluate", "charm/score/scorer.h"}));
  EXPECT_FALSE(complaint({"cli", "charm/base/error.h"}));
  EXPECT_FALSE(complaint({"pipeline", "yaml-cpp/yaml.h"}));
  EXPECT_FALSE(complaint({"torch", "ATen/ops/add.h"}));
  EXPECT_FALSE(complaint({"torch", "charm/engine/tensor.h"}));
  EXPECT_FALSE(complaint({"pipeline", "charm/demo/world.h"}));
  EXPECT_FALSE(complaint({"storage", "arrow/api.h"}));
  EXPECT_EQ(include_target("  # include <vector>"), "vector");
  EXPECT_EQ(include_target("// #include \"x.h\""), "");
}

}  // namespace
