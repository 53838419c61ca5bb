#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/base/progress.h"

namespace charm {
class OptionTable;
}

namespace charm::report {

/// In a run directory: {"outputs": [...]}, paths in it of files and folders that an earlier form of
/// the recipe made (a policy or a set that was renamed or taken out). Written by `charm run`; the
/// report leaves them out and names them.
inline constexpr const char* kEarlierResults = "steps/earlier.json";

struct ReportOptions {
  fs::path run_dir;         ///< a run directory: scores/, mismatch/, calibration/, models/, eval/
                            ///< optionally world.json
  fs::path output;          ///< the HTML file; empty: `<run_dir>/report.html`
  std::string title;        ///< heading; empty: "CHARM report: <name of the run directory>"
  std::int64_t cases = 20;  ///< per number; 50 where the texts are short; 0: none
  std::optional<fs::path> site{};  ///< a folder with index.html and cases/*.js instead of `output`
  std::uint64_t seed = 0;          ///< of the random draw of cases; same seed, same bytes
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, ReportOptions& options);

/// All options of `charm report`.
void describe_command(OptionTable& table, ReportOptions& options);

struct ReportResult {
  fs::path output;                     ///< the HTML file
  std::vector<std::string> missing{};  ///< titles of the sections without input
  std::int64_t num_cases = 0;
  std::int64_t num_cells = 0;                ///< numbers with cases
  std::int64_t file_bytes = 0;               ///< of `output`
  std::int64_t case_bytes = 0;               ///< of the cases as stored
  std::vector<std::string> case_problems{};  ///< cases that could not be read
};

/// Writes one self-contained HTML file about a run directory, or a folder with it and its cases.
/// Stages that have not run are named in it; a run directory without any results is an error
/// (kInput). A site replaces a folder only if that is empty or was written by this function
/// (otherwise kUsage).
ReportResult write_report(const ReportOptions& options, const ProgressFn& progress);

}  // namespace charm::report
