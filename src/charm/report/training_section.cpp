#include <algorithm>
#include <set>

#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string training_html(const TrainingRun& run) {
  std::set<std::string> names;
  for (const MetricPoint& point : run.points) {
    for (const auto& [name, value] : point.values) names.insert(name);
  }
  std::string charts;
  for (const char* name : {"loss", "accuracy"}) {
    if (!names.contains(name)) continue;
    charts +=
        chart_html({fmt::format("{} by step", name),
                    fmt::format("{} of {} trained on {} over the steps", name, run.model, run.set),
                    training_curve_spec(run.points, name)});
  }
  const auto held_out = [](const MetricPoint& point) { return point.is_held_out; };
  const auto first = std::find_if(run.points.begin(), run.points.end(), held_out);
  const auto last = std::find_if(run.points.rbegin(), run.points.rend(), held_out);
  Table table{"Held-out pairs before and after",
              {{"metric", false}, {"before", true}, {"after", true}},
              {}};
  if (first != run.points.end()) {
    for (const auto& [name, value] : first->values) {
      const auto after = last->values.find(name);
      if (after == last->values.end() || name.starts_with("num_")) continue;
      table.rows.push_back({name, number_text(value, 4), number_text(after->second, 4)});
    }
  }
  return fmt::format("<h3>{} trained on {}</h3>\n<div class=\"pair\">{}</div>\n{}",
                     escape_html(run.model), escape_html(run.set), charts,
                     table.rows.empty() ? "" : table_html(table));
}

}  // namespace

Section training_section(const RunData& run) {
  Section section{"training", "Training", "",
                  "No training was found (models/&lt;rm&gt;/&lt;set&gt;/metrics.jsonl, written by "
                  "charm train)."};
  for (const TrainingRun& training : run.trainings) section.html += training_html(training);
  return section;
}

}  // namespace charm::report
