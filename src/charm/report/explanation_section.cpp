#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

// Contributions drawn in one colour; single features are in the table.
struct FeatureGroup {
  const char* name;
  std::array<const char*, 5> features;
};
constexpr std::array<FeatureGroup, 3> kGroups = {{
    {"length", {"log_length"}},
    {"headers, lists, bold, code", {"headers", "lists", "bold", "code_blocks"}},
    {"openings, refusals, exclamations",
     {"exclamations", "refusal", "opening_agreement", "opening_announcement"}},
}};
constexpr const char* kUnexplained = "unexplained";

std::string text_at(const ordered_json& object, const char* name) {
  return object.at(name).get<std::string>();
}

bool excludes_zero(const std::optional<results::Estimate>& measured) {
  return measured && measured->ci95 && (measured->ci95->lo > 0.0 || measured->ci95->hi < 0.0);
}

std::string matched_text(const ordered_json& pair, const char* name) {
  const auto it = pair.find(name);
  if (it == pair.end() || !it->is_object()) return "–";
  return signed_measured_text(measured_at(*it, {"mismatch"}), 2);
}

// Score gaps as sums of feature contributions and the unexplained part.
std::string gaps_html(const ordered_json& pairs, const std::string& title) {
  std::vector<BarPart> parts;
  StackedBarOptions options;
  options.x_title = "score units";
  for (const FeatureGroup& group : kGroups) options.series_order.emplace_back(group.name);
  options.series_order.emplace_back(kUnexplained);
  for (const ordered_json& pair : pairs) {
    const std::string row = text_at(pair, "policy");
    options.row_order.push_back(row);
    if (const auto gap = measured_at(pair, {"score_gap"}))
      options.totals.emplace_back(row, gap->value);
    for (const FeatureGroup& group : kGroups) {
      double sum = 0.0;
      for (const ordered_json& effect : pair.at("effects")) {
        const std::string feature = text_at(effect, "feature");
        const bool is_of_group =
            std::any_of(group.features.begin(), group.features.end(),
                        [&](const char* name) { return name != nullptr && feature == name; });
        if (is_of_group) sum += effect.at("contribution").get<double>();
      }
      parts.push_back({row, group.name, sum});
    }
    if (const auto rest = measured_at(pair, {"unexplained"}))
      parts.push_back({row, kUnexplained, rest->value});
  }
  return chart_html(
      {"Each bar is a policy's mean score difference to the reference (vertical tick), split into "
       "the contributions of length and style differences and the unexplained part. The regression "
       "on responses to the same prompts shows association, not causation.",
       title, stacked_bar_spec(parts, options)});
}

std::string features_table_html(const ordered_json& pairs) {
  Table table{"Contribution of each feature, score units (95 % interval)",
              {{"policy", false},
               {"feature", false},
               {"coefficient", true},
               {"mean difference", true},
               {"contribution", true}},
              {}};
  for (const ordered_json& pair : pairs) {
    for (const ordered_json& effect : pair.at("effects")) {
      table.rows.push_back({text_at(pair, "policy"), text_at(effect, "feature"),
                            signed_measured_text(measured_at(effect, {"coefficient"}), 3),
                            signed_text(effect.at("mean_difference").get<double>(), 2),
                            signed_measured_text(measured_at(effect, {"contribution"}), 3)});
    }
    table.rows.push_back({text_at(pair, "policy"), "explained", "", "",
                          signed_measured_text(measured_at(pair, {"explained"}), 3)});
    table.rows.push_back({text_at(pair, "policy"), kUnexplained, "", "",
                          signed_measured_text(measured_at(pair, {"unexplained"}), 3)});
  }
  return collapsible_table_html(table);
}

std::string matched_table_html(const ordered_json& pairs) {
  Table table{
      "Mismatch degree against the reference, unweighted and on prompts weighted to balance length "
      "and style",
      {{"policy", false},
       {"unweighted", true},
       {"equal length", true},
       {"equal length and style", true}},
      {}};
  for (const ordered_json& pair : pairs) {
    const auto mismatch = measured_at(pair, {"mismatch"});
    if (!mismatch) continue;
    table.rows.push_back({text_at(pair, "policy"), signed_measured_text(mismatch, 2),
                          matched_text(pair, "length_matched"),
                          matched_text(pair, "style_matched")});
  }
  if (table.rows.empty()) return "";
  return table_html(table) +
         "<p class=\"facts\">A dash: the effective sample size after balancing would be too "
         "small.</p>\n";
}

const char* method_label(const std::string& method) {
  static const std::map<std::string, const char*> kLabels = {
      {"none", "no correction"},
      {"offsets", "CHARM offsets"},
      {"lowess", "LOWESS over length"},
      {"style", "length and style regression"},
      {"style-offsets", "length and style, then offsets"}};
  const auto it = kLabels.find(method);
  return it == kLabels.end() ? method.c_str() : it->second;
}

std::string correlation_text(const ordered_json& check, const char* name) {
  const ordered_json& correlations = check.at("correlations").at("mean_score");
  return correlations.is_object()
             ? number_text(measured_at(correlations, {name})
                               ? std::optional(measured_at(correlations, {name})->value)
                               : std::nullopt,
                           2)
             : "–";
}

std::string accuracy_text(const ordered_json& method, const char* benchmark) {
  const ordered_json& result = method.at(benchmark);
  if (!result.is_object()) return "–";
  return percent_measured_text(measured_at(result, {"overall", "overall_partial"}));
}

std::string methods_html(const ordered_json& json) {
  const auto methods = json.find("methods");
  if (methods == json.end() || !methods->is_array() || methods->empty()) return "";
  const bool has_held_out = methods->front().at("held_out").is_object();
  const char* where = has_held_out ? "held_out" : "fit";
  Table table{"",
              {{"correction", false},
               {"mean |MD|", true},
               {"change", true},
               {"Spearman", true},
               {"Kendall", true},
               {"RewardBench", true},
               {"RM-Bench", true}},
              {}};
  for (const ordered_json& method : *methods) {
    const ordered_json& check = method.at(where);
    table.rows.push_back({method_label(text_at(method, "method")),
                          measured_text(measured_at(check, {"mean_abs_mismatch"}), 3),
                          signed_measured_text(measured_at(check, {"change"}), 3),
                          correlation_text(check, "spearman"), correlation_text(check, "kendall"),
                          accuracy_text(method, "reward_bench"),
                          accuracy_text(method, "rm_bench")});
  }
  const ordered_json& first = methods->front().at(where);
  return fmt::format(
             "<h4>Post-hoc corrections</h4>\n<p class=\"facts\">{} prompts{}; mean |MD| expected "
             "under sampling noise alone: {}. Spearman and Kendall: mean score against rating over "
             "the policies. Offsets are per policy and do not apply to a benchmark's texts "
             "(dash).{}</p>\n",
             first.at("num_prompts").get<std::int64_t>(),
             has_held_out ? " held out of all fits"
                          : ", the same on which the corrections were fitted",
             number_text(first.at("by_chance").get<double>()),
             " Bootstrap intervals of mean |MD| are biased upwards, because resampling adds noise "
             "to every |MD|; those of changes less so.") +
         table_html(table);
}

// Findings that are significant by their intervals.
std::string findings_html(const ordered_json& pairs) {
  std::string html;
  for (const ordered_json& pair : pairs) {
    const auto mismatch = measured_at(pair, {"mismatch"});
    if (!excludes_zero(mismatch)) continue;
    std::string text = fmt::format("{} is {} against {} (MD {}).", text_at(pair, "policy"),
                                   mismatch->value > 0.0 ? "over-valued" : "under-valued",
                                   text_at(pair, "reference"), signed_measured_text(mismatch, 2));
    const auto say = [&](const char* name, const char* words) {
      const auto it = pair.find(name);
      if (it == pair.end() || !it->is_object()) return;
      const auto matched = measured_at(*it, {"mismatch"});
      if (!matched || !matched->ci95) return;
      const bool same_side =
          excludes_zero(matched) && (matched->value > 0.0) == (mismatch->value > 0.0);
      text += fmt::format(" At {} MD is {}: {}.", words, signed_measured_text(matched, 2),
                          same_side                ? "it persists"
                          : excludes_zero(matched) ? "the sign reverses"
                                                   : "the interval includes 0");
    };
    say("length_matched", "equal length");
    say("style_matched", "equal length and style");
    html += "<li>" + escape_html(text) + "</li>\n";
  }
  return html.empty() ? "<p>No policy's MD has an interval that excludes 0.</p>\n"
                      : "<ul>\n" + html + "</ul>\n";
}

std::string explanation_html(const ExplanationFile& file) {
  const ordered_json& pairs = file.json.at("pairs");
  const std::string title = fmt::format("{} calibrated on {}", file.model, file.set);
  std::string html = "<h3>" + escape_html(title) + "</h3>\n";
  if (measured_at(pairs.empty() ? ordered_json::object() : pairs.front(), {"mismatch"}))
    html += findings_html(pairs);
  html += gaps_html(pairs, "Score gaps under " + title);
  html += features_table_html(pairs) + matched_table_html(pairs) + methods_html(file.json);
  std::string warnings;
  for (const ordered_json& warning : file.json.at("warnings"))
    warnings += "<li>" + escape_html(warning.get<std::string>()) + "</li>\n";
  if (!warnings.empty()) {
    html += "<details><summary>Warnings</summary><ul class=\"warning\">\n" + warnings +
            "</ul></details>\n";
  }
  return html;
}

}  // namespace

Section explanation_section(const RunData& run) {
  Section section{"explanation", "Contributions of length and style", "",
                  "No explanation was found (explanation/&lt;rm&gt;/&lt;set&gt;.json, written by "
                  "charm explain)."};
  for (const ExplanationFile& file : run.explanations) {
    if (run.same_offsets_as(file.model, file.set).empty()) section.html += explanation_html(file);
  }
  return section;
}

}  // namespace charm::report
