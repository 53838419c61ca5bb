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

const PairResult* measured_pair(const RunData& run, const std::string& model,
                                const PairResult& pair) {
  const MismatchFile* file = run.mismatch_of(model);
  if (file == nullptr) return nullptr;
  const auto it =
      std::find_if(file->pairs.begin(), file->pairs.end(), [&](const PairResult& other) {
        return other.policy == pair.policy && other.reference == pair.reference;
      });
  return it == file->pairs.end() ? nullptr : &*it;
}

const PairResult& pair_before(const RunData& run, const CalibrationFile& calibration,
                              const PairResult& pair) {
  const PairResult* measured = measured_pair(run, calibration.model, pair);
  return measured != nullptr && measured->win_rate && measured->mismatch ? *measured : pair;
}

std::string common_prompts_text(const CalibrationFile& calibration) {
  std::vector<std::int64_t> num_common;
  for (const PairResult& pair : calibration.pairs) num_common.push_back(pair.num_prompts);
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
