#include "charm/evaluate/ties_subset.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/evaluate/reward_bench_2.h"

namespace charm::evaluate {
namespace {

/// Weighted mean of the added values; `empty` without any.
class WeightedMean {
 public:
  void add(double weight, double value) {
    sum_ += weight * value;
    total_ += weight;
    any_ = true;
  }
  /// NaN where all weights are 0: undefined in this replicate.
  double value(double empty) const { return any_ ? sum_ / total_ : empty; }

 private:
  double sum_ = 0.0, total_ = 0.0;
  bool any_ = false;
};

}  // namespace

TiesSubset::TiesSubset(std::span<const ScoredEvalItem> rows, std::span<const std::size_t> members) {
  std::map<std::int64_t, Row> ref_of, tied_of;
  for (const std::size_t index : members) {
    const ScoredEvalItem& item = rows[index];
    const std::optional<TiesId> id = parse_ties_id(item.item.id);
    CHARM_CHECK(id && !item.score_chosen.empty() && !item.score_rejected.empty(),
                "Ties row '{}' has {} and {} scores", item.item.id, item.score_chosen.size(),
                item.score_rejected.size());
    const auto [worst, best] =
        std::minmax_element(item.score_chosen.begin(), item.score_chosen.end());
    Row row;
    row.index = index;
    row.margin = *worst - *std::max_element(item.score_rejected.begin(), item.score_rejected.end());
    if (item.score_chosen.size() > 1) row.range = *best - *worst;
    if (!(id->is_tied ? tied_of : ref_of).emplace(id->number, row).second) {
      throw Error(ErrorKind::kInput,
                  "subset Ties has two rows '{}': each question has one ref and one tied row",
                  item.item.id);
    }
  }
  for (const auto& [number, row] : ref_of) refs_.push_back(row);
  for (const auto& [number, row] : tied_of) {
    tied_.push_back(row);
    const auto ref = ref_of.find(number);
    if (ref != ref_of.end()) questions_.push_back({ref->second, row});
  }
}

std::array<double, 6> TiesSubset::terms(std::span<const double> weights) const {
  WeightedMean ref_accuracy, tied_accuracy, preferred, preferred_hard, margin_score;
  for (const Row& row : refs_) ref_accuracy.add(weights[row.index], row.margin > 0.0);
  for (const Row& row : tied_) tied_accuracy.add(weights[row.index], row.margin > 0.0);
  for (const auto& [ref, tied] : questions_) {
    if (!tied.range) continue;
    const double weight = weights[tied.index];
    const double smaller = std::min(ref.margin, tied.margin);
    preferred.add(weight, tied.margin > *tied.range);
    preferred_hard.add(weight, smaller > *tied.range);
    if (*tied.range > 0.0 && weight > 0.0) {
      margin_score.add(weight, std::tanh(smaller / *tied.range - 1.0));
    }
  }
  // Without a question with several correct answers the preferences are undefined; without any
  // complete question they are 0.
  const double undefined = questions_.empty() ? 0.0 : std::numeric_limits<double>::quiet_NaN();
  std::array<double, 6> terms = {ref_accuracy.value(0.0), tied_accuracy.value(0.0),
                                 preferred.value(undefined), preferred_hard.value(undefined),
                                 margin_score.value(0.0)};
  terms[5] = 0.3 * terms[1] + 0.3 * terms[0] + 0.2 * terms[2] + 0.2 * terms[3] + 0.01 * terms[4];
  return terms;
}

}  // namespace charm::evaluate
