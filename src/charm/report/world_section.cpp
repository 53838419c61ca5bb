#include <algorithm>

#include "charm/report/charts.h"
#include "charm/report/sections.h"
#include "charm/results/world.h"

namespace charm::report {
namespace {

constexpr const char* kNoValue = "–";

/// "style_controlled_accuracy" -> "style controlled accuracy".
std::string words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string estimate_text(const results::Estimate& estimate) {
  std::string value = number_text(estimate.value, 4);
  if (!estimate.ci95) return value;
  return fmt::format("{} [{}, {}]", value, number_text(estimate.ci95->lo, 4),
                     number_text(estimate.ci95->hi, 4));
}

const results::CalibratedPolicy* offset_of(const RunData& run, const std::string& policy) {
  for (const CalibrationFile& calibration : run.calibrations) {
    for (const results::CalibratedPolicy& offset : calibration.policies) {
      if (offset.policy == policy) return &offset;
    }
  }
  return nullptr;
}

/// Planted offsets beside the recovered ones.
std::string planted_html(const RunData& run, const results::World& world) {
  Table table{"Planted and recovered",
              {{"policy", false},
               {"planted offset", true},
               {"sd over probes", true},
               {"num probes", true},
               {"recovered offset", true},
               {"planted in interval", false}},
              {}};
  std::vector<Dot> dots;
  DotPlotOptions options;
  options.x_title = "offset (score units)";
  options.series_order = {"recovered"};
  options.reference_line = 0.0;
  for (const results::World::Planted& planted : world.planted) {
    const results::CalibratedPolicy* found = offset_of(run, planted.policy);
    const auto& interval = found != nullptr ? found->offset.ci95 : std::nullopt;
    table.rows.push_back(
        {planted.policy, number_text(planted.offset, 4), number_text(planted.sd_over_probes, 4),
         planted.num_probes ? std::to_string(*planted.num_probes) : kNoValue,
         found != nullptr ? signed_measured_text(found->offset, 4) : kNoValue,
         !interval                                                          ? kNoValue
         : planted.offset >= interval->lo && planted.offset <= interval->hi ? "yes"
                                                                            : "no"});
    if (found == nullptr) continue;
    options.row_order.push_back(planted.policy);
    dots.push_back({planted.policy, "recovered", found->offset});
    options.targets.emplace_back(planted.policy, planted.offset);
  }
  std::string html;
  if (!dots.empty()) {
    html = chart_html({"Dots: recovered offset with 95 % interval. Vertical ticks: planted offset.",
                       "Recovered offsets over planted ones", dot_plot_spec(dots, options)});
  }
  return html + table_html(table);
}

std::string line_html(const std::string& name, const std::string& value) {
  return value.empty() ? "" : fmt::format("<p>{}: {}</p>\n", name, escape_html(value));
}

}  // namespace

Section world_section(const RunData& run) {
  if (!run.world) return {};
  const results::World& world = *run.world;
  Section section{"world", "Planted against recovered",
                  "<p>This run uses a synthetic world with known ground truth.</p>\n", ""};
  section.html += line_html("about", world.about);
  section.html += line_html("how the planted offset is known", world.how_planted);
  if (world.seed) section.html += line_html("seed", std::to_string(*world.seed));
  if (!world.planted.empty()) section.html += planted_html(run, world);
  if (const auto inside = world.planted_in_interval())
    section.html += line_html("planted in interval", *inside ? "true" : "false");
  if (world.recovered_offset)
    section.html += line_html("recovered offset", estimate_text(*world.recovered_offset));
  for (const results::World::Table& facts : world.tables) {
    Table table{words(facts.name), {{"", false}, {"value", true}}, {}};
    for (const auto& [name, estimate] : facts.rows)
      table.rows.push_back({words(name), estimate_text(estimate)});
    section.html += table_html(table);
  }
  return section;
}

}  // namespace charm::report
