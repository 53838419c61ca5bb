#include <algorithm>
#include <cmath>

#include "charm/report/charts.h"
#include "charm/report/sections.h"
#include "charm/stats/pair_table.h"

namespace charm::report {
namespace {

constexpr double kSmallestScale = 0.2;  // keeps near-zero matrices pale

std::vector<const MismatchFile*> files_in_order(const RunData& run,
                                                const std::vector<std::string>& models) {
  std::vector<const MismatchFile*> files;
  for (const std::string& model : models_in_order(run, models)) {
    for (const MismatchFile& file : run.mismatches) {
      if (file.model == model) files.push_back(&file);
    }
  }
  return files;
}

/// The model, with its prompts where it was measured more than once.
std::string name_of(const RunData& run, const MismatchFile& file) {
  const auto is_of_model = [&](const MismatchFile& one) { return one.model == file.model; };
  if (std::count_if(run.mismatches.begin(), run.mismatches.end(), is_of_model) < 2)
    return file.model;
  return fmt::format("{}, {} prompts{}", file.model, file.num_prompts,
                     file.prompts.empty() ? "" : " " + file.prompts);
}

}  // namespace

Section mismatch_section(const RunData& run) {
  Section section{
      "mismatch", "Mismatch degree of all pairs", "",
      "No mismatch file was found (mismatch/&lt;rm&gt;.json, written by charm measure)."};
  double largest = kSmallestScale;
  std::vector<std::string> models, policies;
  for (const MismatchFile& file : run.mismatches) {
    models.push_back(file.model);
    for (const results::Pair& pair : file.pairs) {
      policies.push_back(pair.policy);
      largest = std::max(largest, std::abs(pair.before.mismatch.value));
    }
  }
  const std::vector<std::string> order = policies_by_rating(run, policies);
  std::string charts, tables;
  for (const MismatchFile* measured : files_in_order(run, models)) {
    const MismatchFile& file = *measured;
    const std::string model = name_of(run, file);
    Table table{fmt::format("All pairs under {}", model),
                {{"policy", false},
                 {"against", false},
                 {"prompts", true},
                 {"ties", true},
                 {"target", true},
                 {"win rate", true},
                 {"MD", true}},
                {}};
    for (const results::Pair& pair : file.pairs) {
      table.rows.push_back({pair.policy,
                            pair.reference,
                            std::to_string(pair.num_prompts),
                            std::to_string(pair.before.ties),
                            percent_text(pair.target.value),
                            percent_measured_text(pair.before.win_rate),
                            {signed_measured_text(pair.before.mismatch, 3),
                             run.cases.link(run.cases_of(file), pair.policy, pair.reference)}});
    }
    nlohmann::ordered_json heat_map = mismatch_heat_map_spec(file.pairs, order, largest);
    for (nlohmann::ordered_json& value : heat_map["data"]["values"]) {
      value["cases"] = run.cases.link(run.cases_of(file), value["policy"], value["reference"]);
    }
    charts += chart_html(
        {fmt::format(
             "{}: mean |MD| {} over {} ordered pairs{}", model,
             file.pairs.empty() ? "–" : number_text(stats::mean_mismatch(file.pairs).before),
             file.pairs.size(),
             file.votes ? "; e from people's votes on the same responses."
                        : ". Policies by rating, best first."),
         fmt::format("Heat map of mismatch degrees of {} policies under {}", order.size(), model),
         std::move(heat_map)});
    tables += collapsible_table_html(table);
  }
  if (charts.empty()) return section;
  section.html =
      fmt::format(
          "<p>MD(a, b) = (w − e) / max(e, 1 − e), w the share of prompts on which the reward model "
          "scores a above b and e the share that their ratings imply, or people's votes give. "
          "Positive: the reward model over-values a.{}</p>\n<div class=\"pair\">",
          run.cases.empty() ? "" : " A cell leads to the responses behind it.") +
      charts + "</div>\n" + tables;
  return section;
}

}  // namespace charm::report
