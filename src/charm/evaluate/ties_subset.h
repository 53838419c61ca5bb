#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "charm/records/eval_item.h"

namespace charm::evaluate {

/// The Ties subset of RewardBench 2 under row weights. Immutable.
class TiesSubset {
 public:
  /// `members`: indices of its rows. Throws kInput for duplicate ids.
  TiesSubset(std::span<const ScoredEvalItem> rows, std::span<const std::size_t> members);

  /// ref_accuracy, tied_accuracy, preferred, preferred_hard, margin_score, score.
  std::array<double, 6> terms(std::span<const double> weights) const;

  std::size_t num_questions() const { return questions_.size(); }
  /// Rows without the other row of their question; they contribute to the accuracies only.
  std::size_t num_unpaired() const { return refs_.size() + tied_.size() - 2 * questions_.size(); }

 private:
  struct Row {
    std::size_t index = 0;        ///< among all rows
    double margin = 0.0;          ///< lowest correct score - highest incorrect score
    std::optional<double> range;  ///< highest - lowest correct score; none with one correct text
  };
  struct Question {
    Row ref, tied;
  };
  std::vector<Row> refs_, tied_;
  std::vector<Question> questions_;  ///< with both rows
};

}  // namespace charm::evaluate
