#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string pair_label(const results::Pair& pair) { return pair.policy + " vs " + pair.reference; }

/// The pair on held-out prompts, before and after the offsets; null without.
const results::Pair* held_out_pair(const CalibrationFile& calibration, const results::Pair& pair) {
  if (!calibration.held_out) return nullptr;
  for (const results::Pair& one : calibration.held_out->pairs) {
    if (one.policy == pair.policy && one.reference == pair.reference && one.after) return &one;
  }
  return nullptr;
}

std::string calibration_html(const RunData& run, const CalibrationFile& calibration) {
  DotPlotOptions options;
  options.x_title = "win rate against " + calibration.reference;
  options.is_percent = true;
  std::vector<Dot> dots;
  bool has_retrained = false;
  Table table{fmt::format("Win rates and mismatch degrees, set {} of {}", calibration.set,
                          calibration.model),
              {{"pair", false},
               {"prompts measured", true},
               {"prompts calibrated", true},
               {"target", true},
               {"win rate before", true},
               {"after calibration", true},
               {"after retraining", true},
               {"MD before", true},
               {"MD after calibration", true},
               {"MD after retraining", true}},
              {}};
  for (const results::Pair& pair : calibration.pairs) {
    const std::string& row = pair.policy;
    options.row_order.push_back(row);
    options.targets.emplace_back(row, pair.target.value);
    // Before and after on the same prompts.
    const results::Pair* held_out = held_out_pair(calibration, pair);
    const results::Pair& before =
        held_out != nullptr ? *held_out : pair_before(run, calibration, pair);
    const std::optional<results::PairRates>& after =
        held_out != nullptr ? held_out->after : pair.after;
    dots.push_back({row, kBefore, before.before.win_rate});
    if (after) dots.push_back({row, kAfterCalibration, after->win_rate});
    const results::Pair* retrained =
        measured_pair(run, calibration.retrained_model(), calibration, pair);
    if (retrained != nullptr) {
      dots.push_back({row, kAfterRetraining, retrained->before.win_rate});
      has_retrained = true;
    }
    const auto measured_cases = [&](const std::string& model) {
      const MismatchFile* file = run.mismatch_of(model, calibration);
      return file == nullptr ? std::string()
                             : run.cases.link(run.cases_of(*file), pair.policy, pair.reference);
    };
    const std::string before_cases = measured_cases(calibration.model);
    const std::string after_cases =
        run.cases.link(held_out != nullptr ? held_out_cases(calibration.model, calibration.set)
                                           : offset_cases(calibration.model, calibration.set),
                       pair.policy, pair.reference);
    const std::string retrained_cases = measured_cases(calibration.retrained_model());
    table.rows.push_back(
        {pair_label(pair),
         std::to_string(before.num_prompts),
         std::to_string(pair.num_prompts),
         percent_text(pair.target.value),
         percent_measured_text(before.before.win_rate),
         percent_measured_text(win_rate_of(after)),
         percent_measured_text(retrained ? win_rate_of(retrained->before) : std::nullopt),
         {signed_measured_text(before.before.mismatch, 2), before_cases},
         {signed_measured_text(mismatch_of(after), 2), after_cases},
         {signed_measured_text(retrained ? mismatch_of(retrained->before) : std::nullopt, 2),
          retrained_cases}});
  }
  options.series_order = {kBefore, kAfterCalibration};
  if (has_retrained) options.series_order.push_back(kAfterRetraining);
  const bool has_style = calibration.votes && !calibration.votes->style_weights.empty();
  const std::string style = has_style ? " and the style weights" : "";
  std::string html = fmt::format("<h3>{} calibrated on {}</h3>\n", escape_html(calibration.model),
                                 escape_html(calibration.set));
  html += fmt::format(
      "<p class=\"facts\">Mode {}, solver {}, ties {}, reference {}, {}.{}{}</p>\n",
      results::mode_name(calibration.options.mode),
      results::solver_name(calibration.options.solver),
      results::tie_rule_name(calibration.options.ties), escape_html(calibration.reference),
      common_prompts_text(calibration),
      calibration.held_out ? " The offsets were fitted on part of the prompts; win rates and MD "
                             "are on the held-out part."
                           : "",
      has_retrained ? "" : " The reward model trained on this set has not been measured.");
  for (const std::string& warning : calibration.warnings) {
    html += fmt::format("<p class=\"warning\">{}</p>\n", escape_html(warning));
  }
  html += chart_html(
      {fmt::format(
           "Dots: win rate under the reward model with 95 % interval. Vertical ticks: {}. "
           "After calibration: {}; after retraining: scores of the fine-tuned reward model.",
           calibration.votes ? "people’s win rate on the same responses"
                             : "the win rate implied by the Arena ratings",
           calibration.held_out
               ? fmt::format("the offsets{} added to scores of held-out prompts", style)
               : fmt::format("in-sample, with the offsets{} added to the scores they were "
                             "fitted on",
                             style)),
       fmt::format(
           "Win rates of {} pairs under {} before and after calibration, against their targets",
           calibration.pairs.size(), calibration.model),
       dot_plot_spec(dots, options)});
  return html + collapsible_table_html(table);
}

}  // namespace

Section win_rate_section(const RunData& run) {
  Section section{"win-rates", "Win rates against their targets", "",
                  "No calibration was found (calibration/&lt;rm&gt;/&lt;set&gt;.json, written by "
                  "charm calibrate)."};
  for (const CalibrationFile& calibration : run.calibrations)
    section.html += calibration_html(run, calibration);
  return section;
}

}  // namespace charm::report
