#include "charm/report/benchmark_tables.h"
#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string plateau_text(const std::optional<results::Interval>& plateau) {
  return plateau ? fmt::format("({:+.4f}, {:+.4f}]", plateau->lo, plateau->hi) : "–";
}

std::string mean_text(const results::MeanMismatch& mean) {
  return fmt::format("from {} to {} (expected under sampling noise: {})", number_text(mean.before),
                     number_text(mean.after), number_text(mean.sampling_noise));
}

// One sentence on the fit, one on the held-out prompts, and a collapsed table of their pairs.
std::string check_html(const RunData& run, const CalibrationFile& calibration) {
  if (!calibration.mean) return "";
  std::string text = fmt::format("Mean |MD| over all ordered pairs changed {} on the {} of the fit",
                                 mean_text(*calibration.mean), common_prompts_text(calibration));
  const auto& held_out = calibration.held_out;
  if (!held_out || !held_out->mean) {
    return "<p>" + text + "; no prompts were held out.</p>\n";
  }
  text += fmt::format(", and {} on {} held-out prompts.", mean_text(*held_out->mean),
                      held_out->num_prompts);
  Table table{fmt::format("Held-out prompts, set {} of {}", calibration.set, calibration.model),
              {{"policy", false},
               {"against", false},
               {"target", true},
               {"win rate", true},
               {"with offsets", true},
               {"MD", true},
               {"MD with offsets", true}},
              {}};
  for (const results::Pair& pair : held_out->pairs) {
    const std::string cases = run.cases.link(held_out_cases(calibration.model, calibration.set),
                                             pair.policy, pair.reference);
    table.rows.push_back({pair.policy,
                          pair.reference,
                          percent_text(pair.target.value),
                          percent_measured_text(pair.before.win_rate),
                          percent_measured_text(win_rate_of(pair.after)),
                          {signed_measured_text(pair.before.mismatch, 3), cases},
                          {signed_measured_text(mismatch_of(pair.after), 3), cases}});
  }
  return "<p>" + text + "</p>\n" + collapsible_table_html(table);
}

// Leave-one-out results.
std::string held_out_policies_html(const CalibrationFile& calibration) {
  if (calibration.held_out_policies.empty()) return "";
  std::size_t closer = 0, further = 0;
  Table table{"Leave-one-out over policies: mean |MD| of the held-out policy with all others",
              {{"held-out policy", false},
               {"no offsets", true},
               {"offsets of the others", true},
               {"change, 95 %", true},
               {"all offsets", true}},
              {}};
  for (const results::HeldOutPolicy& one : calibration.held_out_policies) {
    // On held-out prompts if available, else on those of the fit.
    const results::HeldOutPolicyCheck& check = one.held_out ? *one.held_out : one.fit;
    const results::Estimate change{check.after - check.before, check.change_ci95};
    if (change.ci95 && change.ci95->hi < 0.0) ++closer;
    if (change.ci95 && change.ci95->lo > 0.0) ++further;
    table.rows.push_back({one.policy, number_text(check.before), number_text(check.after),
                          signed_measured_text(change, 3), number_text(check.with_all)});
  }
  const std::string text = fmt::format(
      "With offsets fitted on the other policies only, the mean |MD| of the held-out policy "
      "decreases significantly for {} of {} policies and increases significantly for {} (on the {} "
      "prompts). Offsets are per policy, so this is the effect of the others' offsets on an "
      "uncalibrated policy; a fine-tuned reward model may differ.",
      closer, calibration.held_out_policies.size(), further,
      calibration.held_out_policies.front().held_out ? "held-out" : "fit");
  return "<p>" + text + "</p>\n" + collapsible_table_html(table);
}

std::string offsets_html(const RunData& run, const CalibrationFile& calibration) {
  std::vector<Dot> dots;
  DotPlotOptions options;
  options.x_title = "offset (score units)";
  options.series_order = {"offset"};
  options.reference_line = 0.0;
  Table table{fmt::format("Offsets, set {} of {}", calibration.set, calibration.model),
              {{"policy", false}, {"rating", true}, {"offset", true}, {"plateau", true}},
              {}};
  for (const results::CalibratedPolicy& policy : calibration.policies) {
    const bool is_reference = policy.policy == calibration.reference;
    const std::string label = is_reference ? policy.policy + " (reference)" : policy.policy;
    options.row_order.push_back(label);
    dots.push_back({label, "offset", policy.offset});
    table.rows.push_back({label,
                          number_text(policy.rating.rating_elo, 1),
                          {signed_measured_text(policy.offset, 4),
                           run.cases.link(offset_cases(calibration.model, calibration.set),
                                          policy.policy, calibration.reference)},
                          plateau_text(policy.offset_interval)});
  }
  nlohmann::ordered_json plot = dot_plot_spec(dots, options);
  for (std::size_t p = 0; p < calibration.policies.size(); ++p) {
    plot["data"]["values"][p]["cases"] =
        run.cases.link(offset_cases(calibration.model, calibration.set),
                       calibration.policies[p].policy, calibration.reference);
  }
  return fmt::format("<h3>{} calibrated on {}</h3>\n", escape_html(calibration.model),
                     escape_html(calibration.set)) +
         chart_html({"Offset of each policy with its 95 % interval; the reference stays at 0. "
                     "Negative: the policy's scores are lowered.",
                     fmt::format("Offsets of {} policies", calibration.policies.size()),
                     std::move(plot)}) +
         vote_fit_html(calibration) + check_html(run, calibration) +
         held_out_policies_html(calibration) + collapsible_table_html(table);
}

}  // namespace

Section offset_section(const RunData& run) {
  Section section{"offsets", "Offsets", "",
                  "No calibration was found (calibration/&lt;rm&gt;/&lt;set&gt;.json, written by "
                  "charm calibrate)."};
  for (const CalibrationFile& calibration : run.calibrations) {
    section.html +=
        calibration.same_as.empty()
            ? offsets_html(run, calibration)
            : fmt::format("<h3>{} calibrated on {}</h3>\n<p>The same offsets as set {}.</p>\n",
                          escape_html(calibration.model), escape_html(calibration.set),
                          escape_html(calibration.same_as));
  }
  return section;
}

}  // namespace charm::report
