#include "charm/report/report_stage.h"

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/output_lock.h"
#include "charm/report/case_collector.h"
#include "charm/report/case_files.h"
#include "charm/report/html.h"
#include "charm/report/run_data.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

/// The output, checked before long work starts.
fs::path checked_output(const ReportOptions& options) {
  if (!options.site) {
    fs::path output = options.output.empty() ? options.run_dir / "report.html" : options.output;
    require_writable(output);
    return output;
  }
  if (!options.output.empty()) {
    throw Error(ErrorKind::kUsage,
                "--site and --output exclude each other: the report of a site is its index.html");
  }
  require_replaceable_site(*options.site);
  return *options.site;
}

std::vector<Section> all_sections(const RunData& run, const ProgressFn& progress) {
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
    add(case_section(run));
    add(provenance_section(run));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kInput, "{}: a result file has a member of an unexpected type: {}",
                run.folder.string(), error.what());
  }
  return sections;
}

void count_cases(const CaseSet& cases, ReportResult& result) {
  result.num_cases = std::ssize(cases.cases);
  result.num_cells =
      std::ranges::count_if(cases.cells, [](const CaseCell& cell) { return !cell.cases.empty(); });
  for (const CaseGroup& group : cases.groups) {
    for (const std::string& note : group.notes)
      result.case_problems.push_back(group.title + ": " + note);
  }
}

}  // namespace

ReportResult write_report(const ReportOptions& options, const ProgressFn& progress) {
  if (options.run_dir.empty())
    throw Error(ErrorKind::kUsage, "--run is required: the run directory");
  if (!fs::is_directory(options.run_dir)) {
    throw Error(ErrorKind::kIo, "--run {}: {}; expected the run directory, or a folder of results",
                options.run_dir.string(),
                fs::exists(options.run_dir) ? "is a file" : "no such folder");
  }
  ReportResult result{.output = checked_output(options)};
  const OutputLock lock(result.output);
  RunData run = read_run(options.run_dir);
  if (run.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: nothing to report: it contains no results, neither in scores/, mismatch/, "
                "calibration/, models/ or eval/ nor as files and folders of scores in it",
                options.run_dir.string());
  }
  if (options.cases > 0) run.cases = collect_cases(run, options.cases, options.seed, progress);
  const std::vector<Section> sections = all_sections(run, progress);
  const CaseFiles files = options.site ? site_files(run.cases) : embedded_cases(run.cases);
  const std::string html =
      page_html({.title = options.title.empty() ? "CHARM report: " + run.name : options.title,
                 .data = files.data,
                 .loads_scripts = options.site.has_value()},
                sections);
  if (options.site) {
    result.output = write_site(*options.site, html, files.scripts);
  } else {
    write_file(result.output, html);
  }
  count_cases(run.cases, result);
  result.file_bytes = static_cast<std::int64_t>(html.size());
  result.case_bytes = files.num_bytes;
  for (const Section& section : sections) {
    if (section.html.empty()) result.missing.push_back(section.title);
  }
  return result;
}

}  // namespace charm::report
