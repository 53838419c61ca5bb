#include "charm/report/benchmark_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "charm/report/html.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

std::string p_text(double p) { return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

std::optional<double> value_of(const std::optional<results::Estimate>& estimate) {
  return estimate ? std::optional(estimate->value) : std::nullopt;
}

/// "mean_score" as "mean score", "spearman" as "Spearman".
std::string readable(std::string name) {
  if (name == "mean_abs_mismatch") return "mean |MD|";
  if (name == "mean_abs_mismatch_left_out") return "mean |MD|, held-out policies";
  if (name == "log_loss") return "log-loss";
  if (name == "brier") return "Brier score";
  if (name == "ece") return "expected calibration error";
  if (name == "spearman" || name == "kendall" || name == "pearson")
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// One row for the part itself, and one for each of its metrics ("hard" of RM-Bench).
void add_rows(Table& table, const std::string& label, const results::ComparedPart* part,
              bool with_flips) {
  if (part == nullptr) return;
  if (part->difference) {
    Row row = {label, number_text(value_of(part->a)), number_text(value_of(part->b)),
               signed_measured_text(part->difference)};
    if (with_flips) {
      row.insert(row.end(), {part->flips ? std::to_string(part->flips->gained) : "",
                             part->flips ? std::to_string(part->flips->lost) : "",
                             part->flips ? p_text(part->flips->p_value) : ""});
    }
    table.rows.push_back(std::move(row));
  }
  for (const results::ComparedPart& measure : part->measures)
    add_rows(table, label + ", " + readable(measure.name), &measure, with_flips);
}

/// Accuracy, then the other measures of the prediction.
void add_vote_rows(Table& table, const results::ComparedPart& votes) {
  results::ComparedPart accuracy = votes;
  accuracy.measures.clear();
  add_rows(table, "accuracy on decided votes", &accuracy, /*with_flips=*/true);
  for (const results::ComparedPart& measure : votes.measures)
    add_rows(table, readable(measure.name), &measure, /*with_flips=*/true);
}

/// Whether rows are right or wrong, so that McNemar's test applies.
bool has_flips(const results::Comparison& comparison) {
  return !comparison.is_arena() && comparison.benchmark != "best-of-n";
}

std::string comparison_html(const ComparisonFile& file, const std::string& before) {
  const results::Comparison& result = file.result;
  const bool is_arena = result.is_arena();
  const bool with_flips = has_flips(result);
  Table table{fmt::format("{} against {}, on the same rows", file.model, before),
              {{"", false}, {before, true}, {file.model, true}, {"difference", true}},
              {}};
  if (with_flips)
    table.columns.insert(table.columns.end(), {{"gained", true}, {"lost", true}, {"p", true}});
  const results::ComparedPart* overall = result.find("overall");
  if (overall != nullptr && result.benchmark == "votes") {
    add_vote_rows(table, *overall);
  } else {
    add_rows(table, "overall", overall, with_flips);
  }
  add_rows(table, "overall of the parts present", result.find("overall_partial"), with_flips);
  for (const results::ComparedPart& part : result.sections)
    add_rows(table, part.name, &part, with_flips);
  for (const results::ComparedPart& part : result.correlations)
    add_rows(table, readable(part.name), &part, false);
  for (const char* name : {"mean_abs_mismatch", "mean_abs_mismatch_left_out"})
    add_rows(table, readable(name), result.find(name), false);
  if (is_arena) {
    for (const results::ComparedPart& part : result.policies)
      add_rows(table, part.name, &part, false);
  }
  if (table.rows.empty()) return "";
  // Of an audit: every measure and policy for every n.
  return result.benchmark == "best-of-n" ? collapsible_table_html(table) : table_html(table);
}

/// Spearman's correlation of mean scores with ratings.
const results::ComparedPart* spearman_of(const results::Comparison& comparison) {
  for (const results::ComparedPart& part : comparison.correlations) {
    if (part.name == "mean_score") return part.measure("spearman");
  }
  return nullptr;
}

}  // namespace

std::string training_effect_html(const RunData& run) {
  std::vector<std::string> models;
  for (const ComparisonFile& file : run.comparisons) {
    if (std::find(models.begin(), models.end(), file.model) == models.end())
      models.push_back(file.model);
  }
  if (models.empty()) return "";
  models = models_in_order(run, models);
  Table table{"Effect of training", {{"", false}, {"before", true}}, {}};
  for (const std::string& model : models) table.columns.push_back({model, true});

  // `find` selects the metric in each model's comparison file. `one_before`: the metric before
  // training is the same for all models.
  const auto add = [&](const std::string& label, const std::string& benchmark, bool one_before,
                       const auto& find) {
    Row values = {label, ""}, changes = {label + ", change", ""};
    bool any = false;
    for (const std::string& model : models) {
      std::optional<results::Estimate> after, difference;
      for (const ComparisonFile& file : run.comparisons) {
        if (file.model != model || file.benchmark != benchmark) continue;
        const results::ComparedPart* part = find(file.result);
        if (part == nullptr) continue;
        after = part->b;
        difference = part->difference;
        if (part->a && one_before) values[1] = number_text(part->a->value);
      }
      any = any || after;
      values.push_back(number_text(value_of(after)));
      changes.push_back(signed_measured_text(difference));
    }
    if (any) table.rows.insert(table.rows.end(), {values, changes});
  };
  std::vector<std::string> benchmarks;
  for (const ComparisonFile& file : run.comparisons) {
    if (std::find(benchmarks.begin(), benchmarks.end(), file.benchmark) == benchmarks.end())
      benchmarks.push_back(file.benchmark);
  }
  for (const std::string& benchmark : benchmarks) {
    for (const auto& [name, one_before] :
         {std::pair{"mean_abs_mismatch", true}, std::pair{"mean_abs_mismatch_left_out", false}}) {
      add(readable(name), benchmark, one_before,
          [key = name](const results::Comparison& result) { return result.find(key); });
    }
    add("Spearman with ratings", benchmark, true, spearman_of);
    for (const char* name : {"overall", "overall_partial"}) {
      add(benchmark, benchmark, true,
          [name](const results::Comparison& result) { return result.find(name); });
    }
  }
  return table_html(table) +
         "<p class=\"facts\">Mean |MD|: over all ordered pairs of policies; lower is better; "
         "sampling noise keeps it above 0. Held-out policies: those without an offset in the "
         "model's set. Changes are paired: both models score the same prompts.</p>\n";
}

std::string comparison_tables_html(const RunData& run, const std::string& benchmark) {
  std::string html;
  bool has_tests = false, is_votes = false;
  for (const ComparisonFile& file : run.comparisons) {
    if (file.benchmark != benchmark) continue;
    has_tests = has_tests || has_flips(file.result);
    is_votes = is_votes || file.result.benchmark == "votes";
    html += comparison_html(file, file.result.a.name.empty() ? "before" : file.result.a.name);
  }
  if (!html.empty()) {
    html +=
        "<p class=\"facts\">Both models score the same rows, so the paired difference is more "
        "precise than the two intervals suggest.";
    if (has_tests) {
      html +=
          " Gained: comparisons that only the second model gets right; lost: those that only the "
          "first does. p: McNemar's test of equal accuracy, not corrected for multiple testing.";
    }
    if (is_votes) {
      html +=
          " Votes are predicted by the scores as they are: P(a over b) is the sigmoid of their "
          "difference, without offsets.";
    }
    html += "</p>\n";
  }
  return html;
}

std::optional<results::Estimate> headline_difference(const RunData& run, const std::string& model,
                                                     const std::string& benchmark) {
  for (const ComparisonFile& file : run.comparisons) {
    if (file.model != model || file.benchmark != benchmark) continue;
    for (const char* name : {"overall", "overall_partial"}) {
      if (const auto* part = file.result.find(name)) return part->difference;
    }
    if (const auto* part = spearman_of(file.result); part != nullptr && part->difference)
      return part->difference;
  }
  return {};
}

std::string probability_table_html(const RunData& run, const std::string& benchmark) {
  Table table{"Calibration of pair probabilities, and length",
              {{"reward model", false},
               {"calibration error", true},
               {"Brier", true},
               {"log-loss", true},
               {"score and length (Spearman)", true},
               {"longer text scores higher", true},
               {"longer text is the chosen one", true}},
              {}};
  std::vector<std::string> models;
  for (const EvaluationFile& evaluation : run.evaluations) {
    if (evaluation.benchmark == benchmark) models.push_back(evaluation.model);
  }
  for (const std::string& model : models_in_order(run, models)) {
    for (const EvaluationFile& evaluation : run.evaluations) {
      if (evaluation.benchmark != benchmark || evaluation.model != model) continue;
      if (!evaluation.result.pairs) continue;
      const results::Metrics& probabilities = evaluation.result.pairs->probabilities;
      const results::Metrics& length = evaluation.result.pairs->length;
      table.rows.push_back({model, number_text(value_of(probabilities.find("ece"))),
                            measured_text(probabilities.find("brier")),
                            measured_text(probabilities.find("log_loss")),
                            signed_text(value_of(length.find("spearman")), 2),
                            percent_text(value_of(length.find("longer_preferred"))),
                            percent_text(value_of(length.find("longer_chosen")))});
    }
  }
  return table.rows.empty() ? "" : collapsible_table_html(table);
}

std::vector<NamedValue> evaluation_values(const EvaluationFile& evaluation) {
  const results::Evaluation& result = evaluation.result;
  std::vector<NamedValue> values;
  for (const results::BenchmarkPart& part : result.predictions) {  // of votes
    const auto accuracy = part.metrics.find("accuracy");
    if (!accuracy || part.name == "difference") continue;
    const char* offsets = part.name == "with_offsets" ? "with" : "without";
    values.push_back({fmt::format("accuracy {} offsets", offsets), *accuracy});
  }
  if (!values.empty()) return values;
  const auto take = [&](const std::optional<results::Estimate>& value, const std::string& label,
                        bool is_detail = false) {
    if (value) values.push_back({label, *value, is_detail});
    return value.has_value();
  };
  for (const auto& [correlations, label] :
       {std::pair{&result.mean_score, "mean score"}, std::pair{&result.win_rate, "win rate"}}) {
    take(correlations->find("spearman"), std::string(label) + ", Spearman");
    take(correlations->find("kendall"), std::string(label) + ", Kendall");
    take(correlations->find("pearson"), std::string(label) + ", Pearson");
  }
  for (const std::string name : {"overall", "hard", "normal", "easy"}) {
    if (!take(result.overall.find(name), name))
      take(result.overall.find(name + "_partial"), name + " of the parts present");
  }
  for (const auto& [parts, is_detail] :
       {std::pair{&result.sections, false}, std::pair{&result.subsets, true}}) {
    for (const results::BenchmarkPart& part : *parts) {
      if (!take(part.metrics.find("score"), part.name, is_detail))
        take(part.metrics.find("accuracy"), part.name, is_detail);
    }
  }
  return values;
}

std::optional<NamedValue> headline(const EvaluationFile& evaluation) {
  const std::vector<NamedValue> values = evaluation_values(evaluation);
  if (values.empty()) return {};
  return values.front();
}

std::string evaluation_caveat(const EvaluationFile& evaluation) {
  const results::Evaluation& result = evaluation.result;
  std::string text;
  if (result.sampling) {
    text += fmt::format("at most {} rows of each subset, sampled with seed {}; ",
                        result.sampling->limit_per_subset, result.sampling->seed);
  }
  if (result.missing_sections && !result.missing_sections->empty()) {
    text += fmt::format("without {}, so not comparable with published overall scores; ",
                        fmt::join(*result.missing_sections, ", "));
  }
  if (result.incomplete && !result.incomplete->empty() && !result.sampling) {
    text += fmt::format("{} subsets do not have their full number of rows; ",
                        result.incomplete->size());
  }
  if (result.num_bad_rows > 0)
    text += fmt::format("{} unusable rows dropped; ", result.num_bad_rows);
  if (text.ends_with("; ")) text.resize(text.size() - 2);
  return text;
}

}  // namespace charm::report
