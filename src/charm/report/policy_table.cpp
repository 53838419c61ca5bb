#include <algorithm>
#include <cmath>

#include "charm/report/sections.h"

namespace charm::report {
namespace {

/// More columns do not fit the page; every model's own table stands in its section.
constexpr std::size_t kMaxRetrained = 2;

const results::MeasuredPolicy* policy_of(const MismatchFile& file, const std::string& name) {
  const auto found =
      std::find_if(file.policies.begin(), file.policies.end(),
                   [&](const results::MeasuredPolicy& policy) { return policy.policy == name; });
  return found == file.policies.end() || !found->mean_mismatch ? nullptr : &*found;
}

std::string flag_text(const results::MeasuredPolicy& policy) {
  if (!policy.test || !policy.test->is_significant()) return "";
  return std::string(policy.mean_mismatch->value > 0.0 ? results::kOverValued
                                                       : results::kUnderValued);
}

/// The measured models fine-tuned from `model`.
std::vector<const MismatchFile*> retrained_from(const RunData& run, const std::string& model) {
  std::vector<const MismatchFile*> files;
  for (const CalibrationFile& calibration : run.calibrations) {
    const MismatchFile* file =
        calibration.model == model ? run.mismatch_of(calibration.retrained_model()) : nullptr;
    if (file != nullptr && files.size() < kMaxRetrained) files.push_back(file);
  }
  return files;
}

bool is_retrained(const RunData& run, const std::string& model) {
  return std::any_of(
      run.calibrations.begin(), run.calibrations.end(),
      [&](const CalibrationFile& calibration) { return calibration.retrained_model() == model; });
}

Table policy_table(const RunData& run, const MismatchFile& file) {
  std::vector<results::MeasuredPolicy> policies = file.policies;
  std::erase_if(policies,
                [](const results::MeasuredPolicy& policy) { return !policy.mean_mismatch; });
  std::stable_sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) {
    return a.mean_mismatch->value > b.mean_mismatch->value;
  });
  Table table{
      fmt::format("Per-policy bias of {}: mean MD over all other policies, most over-valued first",
                  file.model),
      {{"policy", false}, {"mean MD", true}, {"", false}},
      {}};
  const std::vector<const MismatchFile*> retrained = retrained_from(run, file.model);
  const char* where = run.split_models.contains(file.model) ? "" : " (in-sample)";
  for (const MismatchFile* after : retrained)
    table.columns.push_back({fmt::format("after training: {}{}", after->model, where), true});
  table.columns.push_back({"prompts", true});
  for (const results::MeasuredPolicy& policy : policies) {
    Row row = {policy.policy, signed_measured_text(policy.mean_mismatch, 2), flag_text(policy)};
    for (const MismatchFile* after : retrained) {
      const results::MeasuredPolicy* changed = policy_of(*after, policy.policy);
      row.push_back(changed == nullptr ? number_text(std::nullopt)
                                       : signed_measured_text(changed->mean_mismatch, 2));
    }
    row.push_back(std::to_string(policy.num_prompts));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string policy_tables_html(const RunData& run) {
  std::vector<std::string> models;
  for (const MismatchFile& file : run.mismatches) {
    if (!is_retrained(run, file.model)) models.push_back(file.model);
  }
  std::string html;
  for (const std::string& model : models_in_order(run, models)) {
    const Table table = policy_table(run, *run.mismatch_of(model));
    if (table.rows.empty()) continue;
    html += html.empty() ? table_html(table) : collapsible_table_html(table);
  }
  if (html.empty()) return html;
  return html +
         "<p class=\"facts\">Over- and under-valued: p &lt; 0.05 after Holm’s correction for the "
         "number of policies. MD: mismatch degree, positive where the reward model over-values a "
         "policy.</p>\n";
}

}  // namespace charm::report
