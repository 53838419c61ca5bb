#include "charm/report/evaluation_values.h"

#include <fmt/format.h>

namespace charm::report {
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
