#pragma once

#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/base/progress.h"

namespace charm::report {

struct ReportOptions {
  fs::path run_dir;   ///< a run directory: scores/, mismatch/, calibration/, models/, eval/
                      ///< optionally world.json
  fs::path output;    ///< the HTML file; empty: `<run_dir>/report.html`
  std::string title;  ///< heading; empty: "CHARM report: <name of the run directory>"
};

struct ReportResult {
  fs::path output;
  std::vector<std::string> missing;  ///< titles of the sections without input
};

/// Writes one self-contained HTML file about a run directory. Stages that have not run are named in
/// it; a run directory without any results is an error (kInput).
ReportResult write_report(const ReportOptions& options, const ProgressFn& progress);

}  // namespace charm::report
