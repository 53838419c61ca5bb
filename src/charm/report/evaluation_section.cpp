#include <algorithm>
#include <map>

#include "charm/report/benchmark_tables.h"
#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string title_of(const std::string& benchmark) {
  if (benchmark == "reward-bench") return "RewardBench v1";
  if (benchmark == "reward-bench-2") return "RewardBench 2";
  if (benchmark == "rm-bench") return "RM-Bench";
  if (benchmark == "judge-bench") return "JudgeBench";
  if (benchmark == "rmb") return "RMB";
  if (benchmark == "ppe") return "PPE correctness";
  if (benchmark == "votes") return "People's votes";
  if (benchmark == "best-of-n") return "Audit of best-of-n";
  if (benchmark == "arena") return "Correlation with Arena ratings";
  return benchmark;
}

/// A recipe, or who calls the command, may name a benchmark's file otherwise.
std::string title_of(const EvaluationFile& file) {
  const std::string& kind = file.result.benchmark;
  if (kind.empty() || kind == file.benchmark) return title_of(file.benchmark);
  return fmt::format("{} (scored as {})", title_of(file.benchmark), title_of(kind));
}

// Votes and the audit have no accuracy by subset: a table per reward model.
std::string tables_html(const RunData& run, const std::vector<const EvaluationFile*>& files) {
  std::string html = fmt::format("<h3>{}</h3>\n", escape_html(title_of(*files.front())));
  for (const EvaluationFile* file : files)
    html += file->result.picks.empty() ? votes_html(run, *file) : audit_html(run, *file);
  return html + comparison_tables_html(run, files.front()->benchmark);
}

std::string benchmark_html(const RunData& run, const std::string& benchmark) {
  std::map<std::string, const EvaluationFile*> file_of;
  std::vector<std::string> models;
  for (const EvaluationFile& evaluation : run.evaluations) {
    if (evaluation.benchmark != benchmark) continue;
    file_of[evaluation.model] = &evaluation;
    models.push_back(evaluation.model);
  }
  models = models_in_order(run, models);
  const results::Evaluation& first = file_of[models.front()]->result;
  if (!first.picks.empty() || !first.predictions.empty()) {
    std::vector<const EvaluationFile*> files;
    for (const std::string& model : models) files.push_back(file_of[model]);
    return tables_html(run, files);
  }

  std::vector<std::string> row_names;
  std::map<std::string, std::map<std::string, NamedValue>> cells;  // row -> model
  for (const std::string& model : models) {
    for (const NamedValue& value : evaluation_values(*file_of[model])) {
      if (!cells.contains(value.name)) row_names.push_back(value.name);
      cells[value.name].emplace(model, value);
    }
  }
  const bool is_correlation = file_of[models.front()]->result.benchmark == "arena";
  Table summary{"", {{"", false}}, {}}, details{"Subsets", {{"subset", false}}, {}};
  for (const std::string& model : models) {
    summary.columns.push_back({model, true});
    details.columns.push_back({model, true});
  }
  DotPlotOptions options;
  options.x_title = is_correlation ? "correlation over policies" : "accuracy";
  options.is_percent = !is_correlation;
  options.series_order = models;
  std::vector<Dot> dots;
  for (const std::string& name : row_names) {
    Row row = {name};
    bool is_detail = false;
    for (const std::string& model : models) {
      const auto it = cells[name].find(model);
      const std::optional<results::Estimate> measured =
          it == cells[name].end() ? std::nullopt : std::optional(it->second.measured);
      const std::string group = evaluation_cases(model, benchmark);
      const std::string subset_cases = run.cases.link(group, "", "", name);
      row.emplace_back(
          is_correlation ? measured_text(measured, 3) : percent_measured_text(measured),
          !subset_cases.empty() ? subset_cases : run.cases.link(group));
      if (it == cells[name].end()) continue;
      is_detail = it->second.is_detail;
      if (!is_detail) dots.push_back({name, model, it->second.measured});
    }
    if (!is_detail) options.row_order.push_back(name);
    (is_detail ? details : summary).rows.push_back(std::move(row));
  }

  const std::string title = title_of(*file_of[models.front()]);
  std::string html = fmt::format("<h3>{}</h3>\n", escape_html(title));
  for (const std::string& model : models) {
    const std::string caveat = evaluation_caveat(*file_of[model]);
    if (!caveat.empty())
      html +=
          fmt::format("<p class=\"facts\">{}: {}.</p>\n", escape_html(model), escape_html(caveat));
  }
  html += chart_html(
      {is_correlation
           ? "Correlation over policies with 95 % bootstrap intervals over prompts (policies and "
             "ratings held fixed)."
           : "Accuracy with 95 % bootstrap intervals over prompts; ties count as incorrect.",
       fmt::format("{} of {} reward models", title, models.size()), dot_plot_spec(dots, options)});
  html += table_html(summary);
  html += comparison_tables_html(run, benchmark);
  html += probability_table_html(run, benchmark);
  if (!details.rows.empty()) html += collapsible_table_html(details);
  return html;
}

}  // namespace

Section evaluation_section(const RunData& run) {
  Section section{"evaluation", "Benchmarks", "",
                  "No evaluation was found (eval/&lt;model&gt;/&lt;benchmark&gt;.json, written by "
                  "charm evaluate)."};
  std::vector<std::string> benchmarks;
  for (const EvaluationFile& evaluation : run.evaluations) {
    if (std::find(benchmarks.begin(), benchmarks.end(), evaluation.benchmark) == benchmarks.end()) {
      benchmarks.push_back(evaluation.benchmark);
    }
  }
  std::sort(benchmarks.begin(), benchmarks.end());
  for (const std::string& benchmark : benchmarks) section.html += benchmark_html(run, benchmark);
  return section;
}

}  // namespace charm::report
