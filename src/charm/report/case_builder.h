#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "charm/base/fs.h"
#include "charm/records/score.h"
#include "charm/report/cases.h"
#include "charm/report/run_data.h"

namespace charm::report {

/// A selected row: its place in the given order, and how it was selected.
struct DrawnCase {
  std::size_t place = 0;
  bool is_largest = false;
  bool is_random = false;
};

/// The larger half of `per_cell` from the front of an order (the largest differences first), the
/// rest by a random draw from all of it. The draw goes by prompt, so that all cells show the same
/// prompts. At most one row of a prompt is drawn.
/// @param prompts  [place] id of the row's prompt
std::vector<DrawnCase> draw_cases(std::span<const std::string_view> prompts, std::int64_t per_cell,
                                  std::uint64_t seed);

/// The file that a result records, where the run may have been moved or copied since: by the end of
/// its path (a folder and a name) in the run directory, as recorded, or by its name in the run
/// directory. Empty where there is none.
std::optional<fs::path> find_recorded(const fs::path& run_dir, const fs::path& recorded);

/// Scores of several policies; each policy's file.
struct PolicyScoreFiles {
  std::vector<ScoreFile> files;
  std::map<std::string, fs::path> file_of;
};

/// Collects the cases of a run. Texts are read once, at the end, and only those of selected cases.
/// Not thread-safe.
class CaseBuilder {
 public:
  CaseBuilder(fs::path run_dir, std::int64_t per_cell, std::uint64_t seed);

  /// The cells and cases that are added next belong to this group.
  void begin_group(std::string key, std::string title, std::string order);
  /// What the group lacks, and why.
  void note(std::string text);

  void add_cell(CaseCell cell);
  /// Adds a cell with the cases drawn from `rows`, which are in the group's order.
  /// @param prompt_of  row -> id of its prompt
  /// @param add        row -> index of its case
  template <typename Row, typename PromptOf, typename AddCase>
  void add_cell(CaseCell cell, const std::vector<Row>& rows, PromptOf prompt_of, AddCase add) {
    std::vector<std::string_view> prompts;
    for (const Row& row : rows) prompts.push_back(std::invoke(prompt_of, row));
    cell.total = std::ssize(rows);
    for (const DrawnCase& drawn : draw_cases(prompts, set_.per_cell, set_.seed)) {
      cell.cases.push_back({.index = add(rows[drawn.place]),
                            .is_largest = drawn.is_largest,
                            .is_random = drawn.is_random});
    }
    add_cell(std::move(cell));
  }
  /// The index of a case of the group; an existing one where the group has a case with this key.
  /// @param key  what the case compares, e.g. names, prompt and sample
  std::pair<std::size_t, bool> add_case(const std::string& key, Case one);
  Case& at(std::size_t index) { return set_.cases[index]; }
  std::size_t add_text(std::string text, bool is_response) {
    return set_.texts.add(std::move(text), is_response);
  }

  /// Files that exist of those that a result records; a note for each that is missing, or has
  /// changed since.
  std::vector<fs::path> find_inputs(const std::vector<results::InputFile>& recorded);
  /// Those of the files that are scores of responses. Of two files with one policy the first
  /// counts.
  PolicyScoreFiles read_scores(const std::vector<fs::path>& paths);
  /// Ids of the prompts of the files that the share and seed of a calibration hold out.
  std::set<std::string> held_out_prompts(const std::vector<fs::path>& paths, std::uint64_t seed,
                                         double share) const;
  /// Has the texts of both sides read from the files of their policies.
  void want_texts(std::size_t index, const PolicyScoreFiles& scores);
  /// Has the text of one side read.
  void want_text(std::size_t index, bool is_a, const fs::path& file, const std::string& policy,
                 const std::string& prompt_id, std::int32_t sample);

  /// Reads the texts and returns the set.
  CaseSet finish();

 private:
  struct Wanted {
    std::size_t index = 0;
    bool is_a = true;
  };
  const std::string& sha256_of(const fs::path& path);
  const ScoreFile& scores_of(const fs::path& path);
  void read_texts(const fs::path& file,
                  const std::unordered_map<std::string, std::vector<Wanted>>& wanted);

  fs::path run_dir_;
  CaseSet set_;
  std::unordered_map<std::string, std::size_t> index_of_key_;  // with the group's key
  std::map<std::string, std::size_t> num_with_id_;
  std::map<fs::path, ScoreFile> score_files_;
  std::map<fs::path, std::string> sha256_of_;
  std::map<fs::path, std::unordered_map<std::string, std::vector<Wanted>>> wanted_;  // by row
  std::map<fs::path, std::size_t> group_of_file_;  // the first that wants its texts
};

}  // namespace charm::report
