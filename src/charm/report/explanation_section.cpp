#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "charm/report/charts.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

using results::FeatureEffect;
using results::PairExplanation;

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

bool excludes_zero(const std::optional<results::Estimate>& measured) {
  return measured && measured->ci95 && (measured->ci95->lo > 0.0 || measured->ci95->hi < 0.0);
}

std::string matched_text(const std::optional<results::MatchedMismatch>& matched) {
  return matched ? signed_measured_text(matched->mismatch, 2) : "–";
}

// Score gaps as sums of feature contributions and the unexplained part.
std::string gaps_html(const std::vector<PairExplanation>& pairs, const std::string& title) {
  std::vector<BarPart> parts;
  StackedBarOptions options;
  options.x_title = "score units";
  for (const FeatureGroup& group : kGroups) options.series_order.emplace_back(group.name);
  options.series_order.emplace_back(kUnexplained);
  for (const PairExplanation& pair : pairs) {
    options.row_order.push_back(pair.policy);
    options.totals.emplace_back(pair.policy, pair.score_gap.value);
    for (const FeatureGroup& group : kGroups) {
      double sum = 0.0;
      for (const FeatureEffect& effect : pair.effects) {
        const bool is_of_group = std::any_of(
            group.features.begin(), group.features.end(),
            [&](const char* name) { return name != nullptr && effect.feature == name; });
        if (is_of_group) sum += effect.contribution.value;
      }
      parts.push_back({pair.policy, group.name, sum});
    }
    parts.push_back({pair.policy, kUnexplained, pair.unexplained.value});
  }
  return chart_html(
      {"Each bar is a policy's mean score difference to the reference (vertical tick), split into "
       "the contributions of length and style differences and the unexplained part. The regression "
       "on responses to the same prompts shows association, not causation.",
       title, stacked_bar_spec(parts, options)});
}

std::string features_table_html(const std::vector<PairExplanation>& pairs) {
  Table table{"Contribution of each feature, score units (95 % interval)",
              {{"policy", false},
               {"feature", false},
               {"coefficient", true},
               {"mean difference", true},
               {"contribution", true}},
              {}};
  for (const PairExplanation& pair : pairs) {
    for (const FeatureEffect& effect : pair.effects) {
      table.rows.push_back(
          {pair.policy, effect.feature, signed_measured_text(effect.coefficient, 3),
           signed_text(effect.mean_difference, 2), signed_measured_text(effect.contribution, 3)});
    }
    table.rows.push_back(
        {pair.policy, "explained", "", "", signed_measured_text(pair.explained, 3)});
    table.rows.push_back(
        {pair.policy, kUnexplained, "", "", signed_measured_text(pair.unexplained, 3)});
  }
  return collapsible_table_html(table);
}

std::string matched_table_html(const RunData& run, const std::string& model,
                               const std::vector<PairExplanation>& pairs) {
  Table table{
      "Mismatch degree against the reference, unweighted and on prompts weighted to balance length "
      "and style",
      {{"policy", false},
       {"unweighted", true},
       {"equal length", true},
       {"equal length and style", true}},
      {}};
  const MismatchFile* measured = run.mismatch_of(model);
  for (const PairExplanation& pair : pairs) {
    if (!pair.mismatch) continue;
    table.rows.push_back({pair.policy,
                          {signed_measured_text(pair.mismatch, 2),
                           measured == nullptr ? ""
                                               : run.cases.link(run.cases_of(*measured),
                                                                pair.policy, pair.reference)},
                          matched_text(pair.length_matched),
                          matched_text(pair.style_matched)});
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

std::string correlation_text(const results::MethodCheck& check,
                             results::Estimate results::Correlations::* of) {
  if (!check.mean_score) return "–";
  const double value = ((*check.mean_score).*of).value;
  return number_text(std::isfinite(value) ? std::optional(value) : std::nullopt, 2);
}

std::string accuracy_text(const std::optional<results::Evaluation>& benchmark) {
  if (!benchmark) return "–";
  const auto complete = benchmark->overall.find("overall");
  return percent_measured_text(complete ? complete : benchmark->overall.find("overall_partial"));
}

std::string methods_html(const std::vector<results::Method>& methods) {
  if (methods.empty()) return "";
  const bool has_held_out = methods.front().held_out.has_value();
  const auto check_of = [&](const results::Method& method) -> const results::MethodCheck& {
    return has_held_out && method.held_out ? *method.held_out : method.fit;
  };
  Table table{"",
              {{"correction", false},
               {"mean |MD|", true},
               {"change", true},
               {"Spearman", true},
               {"Kendall", true},
               {"RewardBench", true},
               {"RM-Bench", true}},
              {}};
  for (const results::Method& method : methods) {
    const results::MethodCheck& check = check_of(method);
    table.rows.push_back({method_label(method.name), measured_text(check.mean_abs_mismatch, 3),
                          signed_measured_text(check.change, 3),
                          correlation_text(check, &results::Correlations::spearman),
                          correlation_text(check, &results::Correlations::kendall),
                          accuracy_text(method.reward_bench), accuracy_text(method.rm_bench)});
  }
  const results::MethodCheck& first = check_of(methods.front());
  return fmt::format(
             "<h4>Post-hoc corrections</h4>\n<p class=\"facts\">{} prompts{}; mean |MD| expected "
             "under sampling noise alone: {}. Spearman and Kendall: mean score against rating over "
             "the policies. Offsets are per policy and do not apply to a benchmark's texts "
             "(dash).{}</p>\n",
             first.num_prompts,
             has_held_out ? " held out of all fits"
                          : ", the same on which the corrections were fitted",
             number_text(first.sampling_noise),
             " Bootstrap intervals of mean |MD| are biased upwards, because resampling adds noise "
             "to every |MD|; those of changes less so.") +
         table_html(table);
}

// Findings that are significant by their intervals.
std::string findings_html(const std::vector<PairExplanation>& pairs) {
  std::string html;
  for (const PairExplanation& pair : pairs) {
    const std::optional<results::Estimate>& mismatch = pair.mismatch;
    if (!excludes_zero(mismatch)) continue;
    std::string text = fmt::format("{} is {} against {} (MD {}).", pair.policy,
                                   mismatch->value > 0.0 ? "over-valued" : "under-valued",
                                   pair.reference, signed_measured_text(mismatch, 2));
    const auto say = [&](const std::optional<results::MatchedMismatch>& match, const char* words) {
      if (!match || !match->mismatch.ci95) return;
      const results::Estimate& matched = match->mismatch;
      const bool same_side =
          excludes_zero(matched) && (matched.value > 0.0) == (mismatch->value > 0.0);
      text += fmt::format(" At {} MD is {}: {}.", words, signed_measured_text(matched, 2),
                          same_side                ? "it persists"
                          : excludes_zero(matched) ? "the sign reverses"
                                                   : "the interval includes 0");
    };
    say(pair.length_matched, "equal length");
    say(pair.style_matched, "equal length and style");
    html += "<li>" + escape_html(text) + "</li>\n";
  }
  return html.empty() ? "<p>No policy's MD has an interval that excludes 0.</p>\n"
                      : "<ul>\n" + html + "</ul>\n";
}

std::string explanation_html(const RunData& run, const ExplanationFile& file) {
  const std::string title = fmt::format("{} calibrated on {}", file.model, file.set);
  std::string html = "<h3>" + escape_html(title) + "</h3>\n";
  if (!file.pairs.empty() && file.pairs.front().mismatch) html += findings_html(file.pairs);
  html += gaps_html(file.pairs, "Score gaps under " + title);
  html += features_table_html(file.pairs) + matched_table_html(run, file.model, file.pairs) +
          methods_html(file.methods);
  std::string warnings;
  for (const std::string& warning : file.warnings)
    warnings += "<li>" + escape_html(warning) + "</li>\n";
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
    if (run.same_offsets_as(file.model, file.set).empty())
      section.html += explanation_html(run, file);
  }
  return section;
}

}  // namespace charm::report
