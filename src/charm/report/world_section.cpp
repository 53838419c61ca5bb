#include <algorithm>

#include "charm/report/charts.h"
#include "charm/report/sections.h"
#include "charm/results/fields.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

/// "style_controlled_accuracy" -> "style controlled accuracy".
std::string words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string value_text(const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return number_text(value.get<double>(), 4);
  if (value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number()) {
    return fmt::format("[{}, {}]", value_text(value[0]), value_text(value[1]));
  }
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
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
std::string planted_html(const RunData& run, const ordered_json& planted) {
  Table table{"Planted and recovered", {{"policy", false}}, {}};
  std::vector<std::string> keys;
  for (const ordered_json& entry : planted) {
    if (!entry.is_object()) continue;
    for (const auto& [key, value] : entry.items()) {
      if (key != "policy" && std::find(keys.begin(), keys.end(), key) == keys.end())
        keys.push_back(key);
    }
  }
  for (const std::string& key : keys) table.columns.push_back({words(key), true});
  table.columns.push_back({"recovered offset", true});
  table.columns.push_back({"planted in interval", false});

  std::vector<Dot> dots;
  DotPlotOptions options;
  options.x_title = "offset (score units)";
  options.series_order = {"recovered"};
  options.reference_line = 0.0;
  for (const ordered_json& entry : planted) {
    if (!entry.is_object()) continue;
    const std::string policy = entry.contains("policy") ? value_text(entry["policy"]) : "";
    Row row = {policy};
    for (const std::string& key : keys)
      row.push_back(entry.contains(key) ? value_text(entry[key]) : "–");
    const results::Fields fields(entry, "world.json", "charm demo");
    const auto truth = fields.find<double>("planted_offset");
    const results::CalibratedPolicy* found = offset_of(run, policy);
    row.push_back(found != nullptr ? signed_measured_text(found->offset, 4) : "–");
    if (truth && found != nullptr && found->offset.ci95) {
      row.push_back(*truth >= found->offset.ci95->lo && *truth <= found->offset.ci95->hi ? "yes"
                                                                                         : "no");
    } else {
      row.push_back("–");
    }
    if (found != nullptr) {
      options.row_order.push_back(policy);
      dots.push_back({policy, "recovered", found->offset});
      if (truth) options.targets.emplace_back(policy, *truth);
    }
    table.rows.push_back(std::move(row));
  }
  std::string html;
  if (!dots.empty()) {
    html = chart_html({"Dots: recovered offset with 95 % interval. Vertical ticks: planted offset.",
                       "Recovered offsets over planted ones", dot_plot_spec(dots, options)});
  }
  return html + table_html(table);
}

/// `name` of `object` with its interval; names that end in "_ci95" are shown with their value.
std::string member_text(const ordered_json& object, const std::string& name) {
  const std::string interval = name + "_ci95";
  const std::string value = value_text(object.at(name));
  return object.contains(interval) ? value + " " + value_text(object.at(interval)) : value;
}

bool is_interval_of_other(const ordered_json& object, const std::string& name) {
  constexpr std::string_view kSuffix = "_ci95";
  return name.ends_with(kSuffix) && object.contains(name.substr(0, name.size() - kSuffix.size()));
}

/// Any other member: objects and lists become tables, scalars one line.
std::string member_html(const ordered_json& world, const std::string& name) {
  const ordered_json& value = world.at(name);
  if (is_interval_of_other(world, name)) return "";
  if (!value.is_object() && !value.is_array()) {
    return fmt::format("<p>{}: {}</p>\n", escape_html(words(name)),
                       escape_html(member_text(world, name)));
  }
  Table table{words(name), {{"", false}, {"value", true}}, {}};
  for (const auto& [key, entry] : value.items()) {
    if (value.is_object() && is_interval_of_other(value, key)) continue;
    table.rows.push_back(
        {words(key), value.is_object() ? member_text(value, key) : value_text(entry)});
  }
  return table_html(table);
}

}  // namespace

Section world_section(const RunData& run) {
  if (!run.world.is_object()) return {};
  Section section{"world", "Planted against recovered",
                  "<p>This run uses a synthetic world with known ground truth.</p>\n", ""};
  for (const auto& [name, value] : run.world.items()) {
    section.html += name == "planted" && value.is_array() ? planted_html(run, value)
                                                          : member_html(run.world, name);
  }
  return section;
}

}  // namespace charm::report
