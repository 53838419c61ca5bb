// Reads the sources of src/charm and fails where a file outside results/ names a member that only
// result files have: of mismatch.json, calibration.json, explain.json, results and comparisons of
// charm evaluate, ratings of charm rate, and world.json of charm demo.

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/source_dir.h"

namespace {

namespace fs = std::filesystem;

constexpr std::array kMembers = {
    "win_rate_before",  "win_rate_after",      "mismatch_before",     "mismatch_after",
    "ties_before",      "ties_after",          "missing_policy",      "missing_reference",
    "offset_ci95",      "offset_interval",     "largest_offset_move", "target_win_rate_ci95",
    "length_matched",   "style_matched",       "share_of_offset",     "mcnemar",
    "num_missing_rows", "missing_domains",     "missing_sections",    "ties_subset",
    "margin_histogram", "pair_probabilities",  "length_correlation",  "temperature_source",
    "num_left_out",     "limit_per_subset",    "rating_se",           "p_value_holm",
    "planted_offset",   "planted_in_interval", "sd_over_probes"};

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Results, OnlyThisFolderKnowsTheMembersOfItsFiles) {
  const fs::path root = fs::path(charm::test::kSourceDir) / "src" / "charm";
  std::size_t num_files = 0, num_found = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cpp") continue;
    ++num_files;
    const bool is_results = entry.path().parent_path().filename() == "results";
    const std::string text = text_of(entry.path());
    for (const char* member : kMembers) {
      const bool is_named = text.find('"' + std::string(member)) != std::string::npos;
      num_found += is_named && is_results;
      EXPECT_FALSE(is_named && !is_results) << entry.path().string() << " names \"" << member
                                            << "\": read and write it through charm/results";
    }
  }
  EXPECT_GT(num_files, 100u) << "the test looked in the wrong place";
  EXPECT_GT(num_found, 5u);
}

}  // namespace
