#include "charm/report/benchmark_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "charm/report/html.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

std::string p_text(const ordered_json& part) {
  const ordered_json& test = object_at(part, "mcnemar");
  if (test.empty()) return "";
  const double p = test.value("p_value", 1.0);
  return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p);
}

std::string count_text(const ordered_json& part, const char* name) {
  const auto count = part.find(name);
  return count == part.end() || count->is_null() ? "" : std::to_string(count->get<std::int64_t>());
}

/// "mean_score" as "mean score", "spearman" as "Spearman".
std::string readable(std::string name) {
  if (name == "mean_abs_mismatch") return "mean |MD|";
  if (name == "mean_abs_mismatch_left_out") return "mean |MD|, held-out policies";
  if (name == "spearman" || name == "kendall" || name == "pearson")
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// One row for the part itself, and one for each of its metrics ("hard" of RM-Bench).
void add_rows(Table& table, const std::string& label, const ordered_json& part, bool with_flips) {
  if (!part.is_object()) return;
  if (const std::optional<Measured> difference = measured_at(part, {"difference"})) {
    const auto value = [&](const char* run) {
      const std::optional<Measured> found = measured_at(part, {run});
      return number_text(found ? std::optional(found->value) : std::nullopt);
    };
    std::vector<std::string> row = {label, value("a"), value("b"),
                                    signed_measured_text(difference)};
    if (with_flips)
      row.insert(row.end(), {count_text(part, "gained"), count_text(part, "lost"), p_text(part)});
    table.rows.push_back(std::move(row));
  }
  for (const auto& [name, measure] : part.items()) {
    if (measure.is_object() && measure.contains("difference"))
      add_rows(table, label + ", " + readable(name), measure, with_flips);
  }
}

std::string comparison_html(const ComparisonFile& file, const std::string& before) {
  const ordered_json& json = file.json;
  const ordered_json& correlations = object_at(json, "correlations");
  const bool is_arena = !correlations.empty();
  Table table{fmt::format("{} against {}, on the same rows", file.model, before),
              {{"", false}, {before, true}, {file.model, true}, {"difference", true}},
              {}};
  if (!is_arena)
    table.columns.insert(table.columns.end(), {{"gained", true}, {"lost", true}, {"p", true}});
  for (const auto& [name, label] : {std::pair{"overall", "overall"},
                                    std::pair{"overall_partial", "overall of the parts present"}}) {
    add_rows(table, label, object_at(json, name), !is_arena);
  }
  for (const char* group : {"sections", "domains"}) {
    for (const auto& [name, part] : object_at(json, group).items())
      add_rows(table, name, part, true);
  }
  for (const auto& [measure, parts] : correlations.items())
    add_rows(table, readable(measure), parts, false);
  for (const char* name : {"mean_abs_mismatch", "mean_abs_mismatch_left_out"}) {
    add_rows(table, readable(name), object_at(json, name), false);
  }
  if (is_arena) {
    for (const auto& [policy, part] : object_at(json, "policies").items())
      add_rows(table, policy, part, false);
  }
  return table.rows.empty() ? "" : table_html(table);
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
    std::vector<std::string> values = {label, ""}, changes = {label + ", change", ""};
    bool any = false;
    for (const std::string& model : models) {
      std::optional<Measured> after, difference;
      for (const ComparisonFile& file : run.comparisons) {
        if (file.model != model || file.benchmark != benchmark) continue;
        const ordered_json& part = find(file.json);
        after = measured_at(part, {"b"});
        difference = measured_at(part, {"difference"});
        if (const auto before = measured_at(part, {"a"}); before && one_before) {
          values[1] = number_text(before->value);
        }
      }
      any = any || after;
      values.push_back(number_text(after ? std::optional(after->value) : std::nullopt));
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
          [&, key = name](const ordered_json& json) -> const ordered_json& {
            return object_at(json, key);
          });
    }
    add("Spearman with ratings", benchmark, true,
        [](const ordered_json& json) -> const ordered_json& {
          return object_at(object_at(object_at(json, "correlations"), "mean_score"), "spearman");
        });
    for (const char* name : {"overall", "overall_partial"}) {
      add(benchmark, benchmark, true,
          [&](const ordered_json& json) -> const ordered_json& { return object_at(json, name); });
    }
  }
  return table_html(table) +
         "<p class=\"facts\">Mean |MD|: over all ordered pairs of policies; lower is better; "
         "sampling noise keeps it above 0. Held-out policies: those without an offset in the "
         "model's set. Changes are paired: both models score the same prompts.</p>\n";
}

std::string comparison_tables_html(const RunData& run, const std::string& benchmark) {
  std::string html;
  bool has_tests = false;
  for (const ComparisonFile& file : run.comparisons) {
    if (file.benchmark != benchmark) continue;
    has_tests = has_tests || object_at(file.json, "correlations").empty();
    html += comparison_html(file, object_at(file.json, "a").value("name", "before"));
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
    html += "</p>\n";
  }
  return html;
}

std::optional<Measured> headline_difference(const RunData& run, const std::string& model,
                                            const std::string& benchmark) {
  for (const ComparisonFile& file : run.comparisons) {
    if (file.model != model || file.benchmark != benchmark) continue;
    for (const char* name : {"overall", "overall_partial"}) {
      const ordered_json& part = object_at(file.json, name);
      if (!part.empty()) return measured_at(part, {"difference"});
    }
    const ordered_json& mean_score = object_at(object_at(file.json, "correlations"), "mean_score");
    if (const auto difference = measured_at(object_at(mean_score, "spearman"), {"difference"}))
      return difference;
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
      const ordered_json& probabilities = object_at(evaluation.json, "pair_probabilities");
      const ordered_json& length = object_at(evaluation.json, "length_correlation");
      if (probabilities.empty() || length.empty()) continue;
      const auto plain = [](const ordered_json& object, const char* name) {
        const std::optional<Measured> found = measured_at(object, {name});
        return found ? std::optional(found->value) : std::nullopt;
      };
      table.rows.push_back({model, number_text(plain(probabilities, "ece")),
                            measured_text(measured_at(probabilities, {"brier"})),
                            measured_text(measured_at(probabilities, {"log_loss"})),
                            signed_text(plain(length, "spearman"), 2),
                            percent_text(plain(length, "longer_preferred")),
                            percent_text(plain(length, "longer_chosen"))});
    }
  }
  return table.rows.empty() ? "" : collapsible_table_html(table);
}

namespace {

using nlohmann::ordered_json;

void take(std::vector<NamedValue>& values, const ordered_json& object, const std::string& label,
          std::initializer_list<const char*> names, bool is_detail = false) {
  if (const auto measured = measured_at(object, names))
    values.push_back({label, *measured, is_detail});
}

/// Members are objects with a score, or numbers.
void take_members(std::vector<NamedValue>& values, const ordered_json& parent, bool is_detail) {
  for (const auto& [name, entry] : parent.items()) {
    if (entry.is_number()) {
      values.push_back({name, {entry.get<double>(), std::nullopt}, is_detail});
    } else if (entry.is_object()) {
      take(values, entry, name, {"score", "accuracy"}, is_detail);
    }
  }
}

}  // namespace

std::vector<NamedValue> evaluation_values(const EvaluationFile& evaluation) {
  const ordered_json& json = evaluation.json;
  std::vector<NamedValue> values;
  for (const char* side : {"mean_score", "win_rate"}) {
    const ordered_json& correlations = object_at(object_at(json, "correlations"), side);
    const std::string label = side == std::string("mean_score") ? "mean score" : "win rate";
    take(values, correlations, label + ", Spearman", {"spearman"});
    take(values, correlations, label + ", Kendall", {"kendall"});
    take(values, correlations, label + ", Pearson", {"pearson"});
  }
  if (json.contains("overall")) {
    take(values, json, "overall", {"overall"});
  } else {
    take(values, json, "overall of the parts present", {"overall_partial"});
  }
  for (const char* name : {"hard", "normal", "easy"}) {
    if (json.contains(name)) {
      take(values, json, name, {name});
    } else {
      take(values, json, std::string(name) + " of the parts present",
           {(std::string(name) + "_partial").c_str()});
    }
  }
  take_members(values, object_at(json, "sections"), /*is_detail=*/false);
  take_members(values, object_at(json, "domains"), /*is_detail=*/false);
  take_members(values, object_at(json, "subsets"), /*is_detail=*/true);
  return values;
}

std::optional<NamedValue> headline(const EvaluationFile& evaluation) {
  const std::vector<NamedValue> values = evaluation_values(evaluation);
  if (values.empty()) return {};
  return values.front();
}

std::string evaluation_caveat(const EvaluationFile& evaluation) {
  const ordered_json& json = evaluation.json;
  std::string text;
  if (const ordered_json& sampling = object_at(json, "sampling"); !sampling.empty()) {
    text += fmt::format("at most {} rows of each subset, sampled with seed {}; ",
                        sampling.value("limit_per_subset", 0), sampling.value("seed", 0));
  }
  if (const auto it = json.find("missing_domains");
      it != json.end() && it->is_array() && !it->empty()) {
    std::string names;
    for (const ordered_json& name : *it) {
      if (name.is_string()) names += (names.empty() ? "" : ", ") + name.get<std::string>();
    }
    text += fmt::format("without {}, so not comparable with published overall scores; ", names);
  }
  if (const auto it = json.find("incomplete");
      it != json.end() && it->is_array() && !it->empty() && !json.contains("sampling")) {
    text += fmt::format("{} subsets do not have their full number of rows; ", it->size());
  }
  if (const auto bad = measured_at(json, {"num_bad_rows"}); bad && bad->value > 0) {
    text += fmt::format("{:.0f} unusable rows dropped; ", bad->value);
  }
  if (text.ends_with("; ")) text.resize(text.size() - 2);
  return text;
}

}  // namespace charm::report
