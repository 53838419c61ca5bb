#include "charm/report/report_stage.h"

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/output_lock.h"
#include "charm/report/html.h"
#include "charm/report/run_data.h"
#include "charm/report/sections.h"

namespace charm::report {

ReportResult write_report(const ReportOptions& options, const ProgressFn& progress) {
  if (options.run_dir.empty())
    throw Error(ErrorKind::kUsage, "--run is required: the run directory");
  if (!fs::is_directory(options.run_dir)) {
    throw Error(ErrorKind::kIo, "--run {}: {}; expected the run directory, or a folder of results",
                options.run_dir.string(),
                fs::exists(options.run_dir) ? "is a file" : "no such folder");
  }
  const fs::path output = options.output.empty() ? options.run_dir / "report.html" : options.output;
  require_writable(output);
  const OutputLock lock(output);
  const RunData run = read_run(options.run_dir);
  if (run.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: nothing to report: it contains no results, neither in scores/, mismatch/, "
                "calibration/, models/ or eval/ nor as files and folders of scores in it",
                options.run_dir.string());
  }

  std::vector<Section> sections;
  const auto add = [&](Section section) {
    if (section.title.empty()) return;
    sections.push_back(std::move(section));
    if (progress)
      progress({.what = "report",
                .done = static_cast<std::int64_t>(sections.size()),
                .total = 0,
                .unit = "parts",
                .detail = {}});
  };
  try {
    add(summary_section(run));
    add(world_section(run));
    add(win_rate_section(run));
    add(mismatch_section(run));
    add(offset_section(run));
    add(explanation_section(run));
    add(score_section(run));
    add(rating_section(run));
    add(training_section(run));
    add(evaluation_section(run));
    add(provenance_section(run));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kInput, "{}: a result file has a member of an unexpected type: {}",
                options.run_dir.string(), error.what());
  }

  write_file(output, page_html(options.title.empty() ? "CHARM report: " + run.name : options.title,
                               sections));
  ReportResult result{output, {}};
  for (const Section& section : sections) {
    if (section.html.empty()) result.missing.push_back(section.title);
  }
  return result;
}

}  // namespace charm::report
