#include "charm/train/loss.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::train {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(0.0, x) + std::log1p(std::exp(-std::abs(x))); }

struct LossAndSlope {
  double loss, slope;  ///< slope: by d
};

LossAndSlope loss_of_difference(double d, double margin, PairLoss kind) {
  switch (kind) {
    case PairLoss::kBradleyTerry:
      return {softplus(-d), -sigmoid(-d)};
    case PairLoss::kMargin:
      return {softplus(margin - d), -sigmoid(margin - d)};
    case PairLoss::kSoftLabels:
      break;
  }
  // log sigmoid(-d) = log sigmoid(d) - d; 1 - sigmoid(m) = sigmoid(-m).
  return {sigmoid(-margin) * d + softplus(-d), sigmoid(-margin) - sigmoid(-d)};
}

}  // namespace

engine::ScoreGradient pair_loss(std::span<const float> scores_S, const PairRows& pairs,
                                PairLoss kind, double centering, double scale) {
  CHARM_CHECK(pairs.chosen.size() == pairs.rejected.size(), "a pair has two sides");
  CHARM_CHECK(kind == PairLoss::kBradleyTerry || pairs.margins.size() == pairs.chosen.size(),
              "one margin per pair");
  engine::ScoreGradient result;
  std::vector<double> gradient_S(scores_S.size());
  for (std::size_t pair = 0; pair < pairs.chosen.size(); ++pair) {
    const auto chosen = static_cast<std::size_t>(pairs.chosen[pair]);
    const auto rejected = static_cast<std::size_t>(pairs.rejected[pair]);
    const double margin = kind == PairLoss::kBradleyTerry ? 0.0 : double{pairs.margins[pair]};
    const double sum = double{scores_S[chosen]} + double{scores_S[rejected]};
    const auto [loss, slope] =
        loss_of_difference(double{scores_S[chosen]} - double{scores_S[rejected]}, margin, kind);
    result.loss += scale * (loss + centering * sum * sum);
    gradient_S[chosen] += scale * (2.0 * centering * sum + slope);
    gradient_S[rejected] += scale * (2.0 * centering * sum - slope);
  }
  result.gradient_S.assign(gradient_S.begin(), gradient_S.end());
  return result;
}

void PairCounts::add(std::span<const float> scores_S, const PairRows& pairs) {
  for (std::size_t pair = 0; pair < pairs.chosen.size(); ++pair) {
    const double difference = double{scores_S[static_cast<std::size_t>(pairs.chosen[pair])]} -
                              double{scores_S[static_cast<std::size_t>(pairs.rejected[pair])]};
    ++num_pairs;
    num_right += difference > 0.0 ? 1 : 0;
    sum_margin += difference;
    sum_loss += softplus(-difference);
  }
}

}  // namespace charm::train
