#include <algorithm>
#include <limits>

#include "charm/records/score.h"
#include "charm/report/run_data.h"
#include "charm/stats/descriptive.h"
#include "charm/storage/record_reader.h"

namespace charm::report {
namespace {

constexpr std::int64_t kNumBins = 48;

}  // namespace

ModelScores summarise_scores(const std::string& model, std::span<const fs::path> files) {
  struct Collected {
    std::vector<double> values;
    std::int64_t num_errors = 0;
  };
  std::map<std::string, Collected> by_policy;
  for (const fs::path& file : files) {
    // Bad rows are tolerated: the stages that used the scores have already applied their limits.
    const storage::ReadOptions reading{
        .max_bad_rows = std::numeric_limits<std::int64_t>::max(), .split = {}, .policy = {}};
    for (const Score& score : storage::read_scores(file, reading)) {
      Collected& collected = by_policy[score.policy];
      if (score.error) {
        ++collected.num_errors;
      } else {
        collected.values.push_back(score.score);
      }
    }
  }
  double lo = std::numeric_limits<double>::infinity(), hi = -lo;
  for (const auto& [policy, collected] : by_policy) {
    for (double value : collected.values) {
      lo = std::min(lo, value);
      hi = std::max(hi, value);
    }
  }
  ModelScores result;
  result.model = model;
  if (lo <= hi) {
    result.first_bin = lo;
    result.bin_width = hi > lo ? (hi - lo) / static_cast<double>(kNumBins) : 1.0;
  }
  for (auto& [policy, collected] : by_policy) {
    ScoreSummary summary;
    summary.policy = policy;
    summary.num_errors = collected.num_errors;
    summary.num_scores = static_cast<std::int64_t>(collected.values.size());
    summary.bins.assign(kNumBins, 0);
    for (double value : collected.values) {
      const auto bin = static_cast<std::int64_t>((value - result.first_bin) / result.bin_width);
      ++summary.bins[static_cast<std::size_t>(std::clamp<std::int64_t>(bin, 0, kNumBins - 1))];
    }
    if (!collected.values.empty()) {
      std::sort(collected.values.begin(), collected.values.end());
      summary.mean = stats::mean(collected.values);
      summary.standard_deviation = stats::standard_deviation(collected.values);
      summary.median = stats::quantile_sorted(collected.values, 0.5);
    }
    result.policies.push_back(std::move(summary));
  }
  return result;
}

}  // namespace charm::report
