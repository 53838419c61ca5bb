#include "charm/calibrate/offset_solver.h"

namespace charm::calibrate {

std::vector<PairTerm> pair_terms(const OffsetProblem& problem, std::span<const double> targets) {
  std::vector<PairTerm> terms;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const OffsetPair& pair = problem.pairs[p];
    terms.push_back(
        {.over = pair.over, .ref = pair.ref, .weight = pair.weight, .target = targets[p]});
  }
  return terms;
}

std::vector<double> row_weights(const stats::PairRows& rows,
                                std::span<const std::uint32_t> prompt_weights) {
  std::vector<double> weights;
  weights.reserve(rows.prompt.size());
  for (const std::uint32_t prompt : rows.prompt) weights.push_back(prompt_weights[prompt]);
  return weights;
}

}  // namespace charm::calibrate
