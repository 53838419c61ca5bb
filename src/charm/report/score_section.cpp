#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {

Section score_section(const RunData& run) {
  Section section{
      "scores", "Scores of each policy", "",
      "No scores were found (scores/&lt;rm&gt;/&lt;policy&gt;.parquet, written by charm score)."};
  std::vector<std::string> models, policies;
  for (const ModelScores& scores : run.scores) {
    models.push_back(scores.model);
    for (const ScoreSummary& policy : scores.policies) policies.push_back(policy.policy);
  }
  const std::vector<std::string> order = policies_by_rating(run, policies);
  std::string charts, tables;
  for (const std::string& model : models_in_order(run, models)) {
    const ModelScores& scores = *run.scores_of(model);
    Table table{fmt::format("Scores under {}", model),
                {{"policy", false},
                 {"scores", true},
                 {"errors", true},
                 {"mean", true},
                 {"median", true},
                 {"sd", true}},
                {}};
    for (const std::string& name : order) {
      for (const ScoreSummary& policy : scores.policies) {
        if (policy.policy != name) continue;
        table.rows.push_back({name, std::to_string(policy.num_scores),
                              std::to_string(policy.num_errors), number_text(policy.mean),
                              number_text(policy.median), number_text(policy.standard_deviation)});
      }
    }
    charts += chart_html({fmt::format("{}: share of responses by score; the line is the policy's "
                                      "mean. Policies by rating, best first.",
                                      model),
                          fmt::format("Histograms of the scores of {} policies under {}",
                                      scores.policies.size(), model),
                          score_strips_spec(scores, order)});
    tables += collapsible_table_html(table);
  }
  if (charts.empty()) return section;
  section.html =
      "<p>Raw head output. Scales differ between reward models: compare scores within one chart "
      "only.</p>\n"
      "<div class=\"pair\">" +
      charts + "</div>\n" + tables;
  return section;
}

}  // namespace charm::report
