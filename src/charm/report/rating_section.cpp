#include "charm/report/charts.h"
#include "charm/report/sections.h"
#include "charm/stats/descriptive.h"

namespace charm::report {
namespace {

std::string scatter_html(const std::string& title, const std::vector<RatedScore>& points) {
  std::vector<double> ratings, scores;
  for (const RatedScore& point : points) {
    ratings.push_back(point.rating_elo);
    scores.push_back(point.mean_score);
  }
  const std::string correlation =
      fmt::format("Spearman {}, Kendall {}, Pearson {} over {} policies",
                  number_text(stats::spearman(scores, ratings), 2),
                  number_text(stats::kendall_tau_b(scores, ratings), 2),
                  number_text(stats::pearson(scores, ratings), 2), points.size());
  return chart_html({fmt::format("{}. {}.", title, correlation),
                     fmt::format("{}: mean score over Arena rating", title),
                     rating_scatter_spec(points)});
}

std::vector<RatedScore> rated_scores(const RunData& run, const ModelScores& scores,
                                     const CalibrationFile* calibration) {
  std::vector<RatedScore> points;
  for (const ScoreSummary& policy : scores.policies) {
    const auto rating = run.ratings.find(policy.policy);
    if (rating == run.ratings.end() || policy.num_scores == 0) continue;
    double offset = 0.0;
    if (calibration != nullptr) {
      for (const results::CalibratedPolicy& other : calibration->policies) {
        if (other.policy == policy.policy) offset = other.offset.value;
      }
    }
    points.push_back({policy.policy, rating->second, policy.mean + offset});
  }
  return points;
}

/// Every policy with its rating and mean score under each model.
std::string scores_table_html(const RunData& run, const std::vector<std::string>& models) {
  Table table{"Ratings and mean scores", {{"policy", false}, {"rating", true}}, {}};
  std::vector<std::string> policies;
  for (const std::string& model : models) {
    table.columns.push_back({model, true});
    for (const ScoreSummary& policy : run.scores_of(model)->policies)
      policies.push_back(policy.policy);
  }
  for (const std::string& name : policies_by_rating(run, policies)) {
    const auto rating = run.ratings.find(name);
    Row row = {
        name,
        number_text(rating == run.ratings.end() ? std::nullopt : std::optional(rating->second), 1)};
    for (const std::string& model : models) {
      std::optional<double> mean;
      for (const ScoreSummary& policy : run.scores_of(model)->policies) {
        if (policy.policy == name && policy.num_scores > 0) mean = policy.mean;
      }
      row.push_back(number_text(mean));
    }
    table.rows.push_back(std::move(row));
  }
  return collapsible_table_html(table);
}

}  // namespace

Section rating_section(const RunData& run) {
  Section section{"ratings", "Mean score against Arena rating", "",
                  "No scores (scores/) with ratings of their policies (mismatch or calibration "
                  "files) were found."};
  std::vector<std::string> models;
  for (const ModelScores& scores : run.scores) models.push_back(scores.model);
  for (const std::string& model : models_in_order(run, models)) {
    const ModelScores& scores = *run.scores_of(model);
    const std::vector<RatedScore> points = rated_scores(run, scores, nullptr);
    if (points.size() < 2) continue;
    section.html += scatter_html(model, points);
    for (const CalibrationFile& calibration : run.calibrations) {
      if (calibration.model != model) continue;
      section.html += scatter_html(fmt::format("{} with the offsets of {}", model, calibration.set),
                                   rated_scores(run, scores, &calibration));
    }
  }
  if (!section.html.empty()) {
    const std::string table = scores_table_html(run, models_in_order(run, models));
    section.html =
        "<p>Correlations over few policies are sensitive to single policies; correlations with "
        "intervals are in the benchmark section (arena).</p>\n<div class=\"pair\">" +
        section.html + "</div>\n" + table;
  }
  return section;
}

}  // namespace charm::report
