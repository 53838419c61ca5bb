#include <algorithm>
#include <array>
#include <cmath>

#include "charm/report/benchmark_tables.h"
#include "charm/report/html.h"

namespace charm::report {
namespace {

/// The cells of one measure, all with as many digits; shares of policies in percent.
Row picks_row(const std::vector<const results::PickMeasure*>& measures, bool is_share) {
  double largest = 0.0;
  for (const results::PickMeasure* measure : measures) {
    largest = std::max(largest, std::abs(measure->before.value));
    if (measure->after) largest = std::max(largest, std::abs(measure->after->value));
  }
  const auto text = [&](double value) {
    return is_share ? percent_text(value) : number_text(value, largest >= 10.0 ? 1 : 3);
  };
  Row row;
  for (const results::PickMeasure* measure : measures) {
    std::string cell = text(measure->before.value);
    if (measure->after) cell += " → " + text(measure->after->value);
    if (measure->implied) cell += fmt::format(" ({})", text(*measure->implied));
    row.emplace_back(std::move(cell));
  }
  return row;
}

}  // namespace

std::string votes_html(const RunData& run, const EvaluationFile& evaluation) {
  const std::string cases =
      run.cases.link(evaluation_cases(evaluation.model, evaluation.benchmark));
  Table table{fmt::format("Prediction of votes ({}): {}", evaluation.benchmark, evaluation.model),
              {{"", false}},
              {}};
  for (const results::BenchmarkPart& part : evaluation.result.predictions) {
    const bool is_without = part.name == "without_offsets";
    table.columns.push_back({is_without                    ? "without offsets"
                             : part.name == "with_offsets" ? "with offsets"
                                                           : part.name,
                             true});
  }
  for (const auto& [name, title] : std::array<std::pair<const char*, const char*>, 4>{
           {{"accuracy", "accuracy on decided votes"},
            {"log_loss", "log-loss"},
            {"brier", "Brier score"},
            {"ece", "expected calibration error"}}}) {
    const bool is_accuracy = std::string_view(name) == "accuracy";
    Row row = {{title, is_accuracy ? cases : ""}};
    for (const results::BenchmarkPart& part : evaluation.result.predictions) {
      const auto measured = part.metrics.find(name);
      row.push_back(part.name == "difference" ? signed_measured_text(measured)
                    : is_accuracy             ? percent_measured_text(measured)
                                              : measured_text(measured));
    }
    table.rows.push_back(std::move(row));
  }
  return table_html(table);
}

std::string audit_html(const RunData& run, const EvaluationFile& evaluation) {
  const std::vector<results::PicksOfN>& picks = evaluation.result.picks;
  if (picks.empty()) return "";
  Table table{"Means over the picks of best-of-n: " + evaluation.model, {{"", false}}, {}};
  Row kl = {"KL, nats"}, same = {"picks left as they are"};
  for (const results::PicksOfN& one : picks) {
    table.columns.push_back({fmt::format("n = {}", one.n), true});
    kl.push_back(number_text(one.kl, 2));
    if (one.same_pick) same.push_back(percent_text(one.same_pick->value));
  }
  table.rows.push_back(kl);
  if (same.size() > 1) table.rows.push_back(same);
  const auto add = [&](const std::vector<results::PickMeasure> results::PicksOfN::* list,
                       const std::string& prefix, bool is_share) {
    for (std::size_t k = 0; k < (picks.front().*list).size(); ++k) {
      const std::string name = prefix + (picks.front().*list)[k].name;
      Row row = {{name, run.cases.link(evaluation_cases(evaluation.model, evaluation.benchmark), "",
                                       "", name)}};
      std::vector<const results::PickMeasure*> measures;
      for (const results::PicksOfN& one : picks) measures.push_back(&(one.*list)[k]);
      for (Cell& cell : picks_row(measures, is_share)) row.push_back(std::move(cell));
      table.rows.push_back(std::move(row));
    }
  };
  add(&results::PicksOfN::measures, "", /*is_share=*/false);
  add(&results::PicksOfN::policies, share_part(""), /*is_share=*/true);
  return "<p>What the reward model picks of n responses to a prompt, before → after correction; in "
         "brackets the share that ratings imply. n = 1 is what there was to pick from.</p>\n" +
         table_html(table);
}

std::string vote_fit_html(const CalibrationFile& calibration) {
  if (!calibration.votes) return "";
  const results::VoteFit& votes = *calibration.votes;
  Table table{"Fit of votes", {{"", false}, {"estimate", true}}, {}};
  table.rows.push_back({"temperature (score units)", measured_text(votes.temperature)});
  for (const results::StyleWeight& weight : votes.style_weights) {
    table.rows.push_back(
        {"style weight of " + weight.feature, signed_measured_text(weight.weight)});
  }
  if (votes.tie_parameter)
    table.rows.push_back({"Davidson's nu", measured_text(votes.tie_parameter)});
  return fmt::format(
             "<p>Fitted to {} votes ({} ties) on {} prompts, intervals by {} of {} {}s.{} Targets "
             "below are people's win rates on the same responses.</p>\n",
             votes.num_votes, votes.num_ties, calibration.num_prompts, escape_html(votes.interval),
             votes.num_clusters, escape_html(votes.cluster),
             votes.has_rating_prior ? " Arena ratings were a prior." : "") +
         table_html(table);
}

}  // namespace charm::report
