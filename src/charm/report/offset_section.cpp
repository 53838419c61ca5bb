#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string plateau_text(const std::optional<stats::Interval>& plateau) {
  return plateau ? fmt::format("({:+.4f}, {:+.4f}]", plateau->lo, plateau->hi) : "–";
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
         folded_table_html(table);
}

}  // namespace

Section offset_section(const RunData& run) {
  Section section{"offsets", "Offsets", "",
                  "No calibration was found (calibration/&lt;rm&gt;/&lt;set&gt;.json, written by "
                  "charm calibrate)."};
  for (const CalibrationFile& calibration : run.calibrations)
    section.html += offsets_html(calibration);
  return section;
}

}  // namespace charm::report
