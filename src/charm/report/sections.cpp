#include "charm/report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "charm/stats/paired_scores.h"

namespace charm::report {

std::vector<std::string> policies_by_rating(const RunData& run, std::vector<std::string> policies) {
  std::sort(policies.begin(), policies.end());
  policies.erase(std::unique(policies.begin(), policies.end()), policies.end());
  std::stable_sort(
      policies.begin(), policies.end(), [&](const std::string& a, const std::string& b) {
        const auto rating_a = run.ratings.find(a), rating_b = run.ratings.find(b);
        const bool has_a = rating_a != run.ratings.end(), has_b = rating_b != run.ratings.end();
        if (has_a != has_b) return has_a;
        return has_a && rating_a->second > rating_b->second;
      });
  return policies;
}

const results::Pair* measured_pair(const RunData& run, const std::string& model,
                                   const CalibrationFile& calibration, const results::Pair& pair) {
  const MismatchFile* file = run.mismatch_of(model, calibration);
  if (file == nullptr) return nullptr;
  const auto it =
      std::find_if(file->pairs.begin(), file->pairs.end(), [&](const results::Pair& other) {
        return other.policy == pair.policy && other.reference == pair.reference;
      });
  return it == file->pairs.end() ? nullptr : &*it;
}

const results::Pair& pair_before(const RunData& run, const CalibrationFile& calibration,
                                 const results::Pair& pair) {
  const results::Pair* measured = measured_pair(run, calibration.model, calibration, pair);
  return measured != nullptr ? *measured : pair;
}

std::optional<results::Estimate> win_rate_of(const std::optional<results::PairRates>& rates) {
  return rates ? std::optional(rates->win_rate) : std::nullopt;
}

std::optional<results::Estimate> mismatch_of(const std::optional<results::PairRates>& rates) {
  return rates ? std::optional(rates->mismatch) : std::nullopt;
}

std::string common_prompts_text(const CalibrationFile& calibration) {
  std::vector<std::int64_t> num_common;
  for (const results::Pair& pair : calibration.pairs) num_common.push_back(pair.num_prompts);
  if (num_common.empty()) return fmt::format("{} prompts", calibration.num_prompts);
  return stats::common_prompts_text(num_common, calibration.num_prompts);
}

std::vector<std::string> models_in_order(const RunData& run, std::vector<std::string> models) {
  std::set<std::string> left(models.begin(), models.end());
  std::vector<std::string> ordered;
  const auto take = [&](const std::string& model) {
    if (left.erase(model) > 0) ordered.push_back(model);
  };
  for (const CalibrationFile& calibration : run.calibrations) {
    take(calibration.model);
    for (const CalibrationFile& sibling : run.calibrations) {
      if (sibling.model == calibration.model) take(sibling.retrained_model());
    }
  }
  ordered.insert(ordered.end(), left.begin(), left.end());
  return ordered;
}

}  // namespace charm::report
