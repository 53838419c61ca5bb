#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string plateau_text(const std::optional<stats::Interval>& plateau) {
  return plateau ? fmt::format("({:+.4f}, {:+.4f}]", plateau->lo, plateau->hi) : "–";
}

std::string mean_text(const MeanMismatch& mean) {
  return fmt::format("from {} to {} (chance alone shows {})", number_text(mean.before),
                     number_text(mean.after), number_text(mean.sampling_noise));
}

// One sentence on the fit, one on the prompts kept from it, and their pairs folded away.
std::string check_html(const CalibrationFile& calibration) {
  if (!calibration.mean) return "";
  std::string text = fmt::format(
      "Mean |MD| over all ordered pairs went {} on the {} prompts that the offsets were fitted on",
      mean_text(*calibration.mean), calibration.num_prompts);
  const auto& held_out = calibration.held_out;
  if (!held_out || !held_out->mean) {
    return "<p>" + text + "; no prompts were held out to check them on.</p>\n";
  }
  text += fmt::format(", and {} on {} prompts held out.", mean_text(*held_out->mean),
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
  for (const PairResult& pair : held_out->pairs) {
    table.rows.push_back(
        {pair.policy, pair.reference,
         percent_text(pair.target ? std::optional(pair.target->value) : std::nullopt),
         percent_measured_text(pair.win_rate), percent_measured_text(pair.win_rate_after),
         signed_measured_text(pair.mismatch, 3), signed_measured_text(pair.mismatch_after, 3)});
  }
  return "<p>" + text + "</p>\n" + folded_table_html(table);
}

// Policies that a fit without them was tried on.
std::string left_out_html(const CalibrationFile& calibration) {
  if (calibration.left_out.empty()) return "";
  std::size_t closer = 0, further = 0;
  Table table{"Each policy left out of the fit in turn: its mean |MD| with all others",
              {{"policy left out", false},
               {"no offsets", true},
               {"offsets of the others", true},
               {"change, 95 %", true},
               {"its own offset too", true}},
              {}};
  for (const LeftOutPolicy& one : calibration.left_out) {
    const Measured change{one.after - one.before, one.change_ci95};
    if (one.change_ci95 && one.change_ci95->hi < 0.0) ++closer;
    if (one.change_ci95 && one.change_ci95->lo > 0.0) ++further;
    table.rows.push_back({one.policy, number_text(one.before), number_text(one.after),
                          signed_measured_text(change, 3), number_text(one.with_all)});
  }
  const std::string text = fmt::format(
      "Offsets fitted to the other policies alone, a policy's mean |MD| with them falls beyond "
      "chance for {} of {} policies and rises beyond chance for {} (measured on the {} prompts). "
      "An offset moves only the policy it belongs to, so this says how far a policy without one "
      "profits from the others'; a retrained reward model may do more or less.",
      closer, calibration.left_out.size(), further,
      calibration.left_out.front().is_held_out ? "held-out" : "fit's own");
  return "<p>" + text + "</p>\n" + folded_table_html(table);
}

std::string offsets_html(const CalibrationFile& calibration) {
  std::vector<Dot> dots;
  DotPlotOptions options;
  options.x_title = "offset (score units)";
  options.series_order = {"offset"};
  options.reference_line = 0.0;
  Table table{fmt::format("Offsets, set {} of {}", calibration.set, calibration.model),
              {{"policy", false}, {"rating", true}, {"offset", true}, {"plateau", true}},
              {}};
  for (const PolicyOffset& policy : calibration.policies) {
    const bool is_reference = policy.policy == calibration.reference;
    const std::string label = is_reference ? policy.policy + " (reference)" : policy.policy;
    options.row_order.push_back(label);
    if (policy.offset) dots.push_back({label, "offset", *policy.offset});
    table.rows.push_back({label, number_text(policy.rating_elo, 1),
                          signed_measured_text(policy.offset, 4), plateau_text(policy.plateau)});
  }
  return fmt::format("<h3>{} calibrated on {}</h3>\n", escape_html(calibration.model),
                     escape_html(calibration.set)) +
         chart_html({"Offset of each policy with its 95 % interval; the reference stays at 0. "
                     "Negative: the policy's scores are lowered.",
                     fmt::format("Offsets of {} policies", calibration.policies.size()),
                     dot_plot_spec(dots, options)}) +
         check_html(calibration) + left_out_html(calibration) + folded_table_html(table);
}

}  // namespace

Section offset_section(const RunData& run) {
  Section section{"offsets", "Offsets", "",
                  "No calibration was found (calibration/&lt;rm&gt;/&lt;set&gt;.json, written by "
                  "charm calibrate)."};
  for (const CalibrationFile& calibration : run.calibrations) {
    section.html +=
        calibration.same_as.empty()
            ? offsets_html(calibration)
            : fmt::format("<h3>{} calibrated on {}</h3>\n<p>The same offsets as set {}.</p>\n",
                          escape_html(calibration.model), escape_html(calibration.set),
                          escape_html(calibration.same_as));
  }
  return section;
}

}  // namespace charm::report
