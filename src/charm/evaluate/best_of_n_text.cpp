#include <fmt/format.h>

#include "charm/base/strings.h"
#include "charm/evaluate/best_of_n.h"

namespace charm::evaluate {
namespace {

// "120.4 -> 98.1", "0.031 -> 0.027 (implied 0.044)".
std::string change_text(const PickMeasure& measure) {
  const int digits = std::abs(measure.before.value) >= 10.0 ? 1 : 3;
  std::string text = fmt::format("{:.{}f}", measure.before.value, digits);
  if (measure.after) text += fmt::format(" -> {:.{}f}", measure.after->value, digits);
  if (measure.implied) text += fmt::format(" (implied {:.3f})", *measure.implied);
  return text;
}

}  // namespace

std::string result_text(const BestOfNResult& result) {
  const bool has_after = result.picks.front().same_pick.has_value();
  std::string text = fmt::format(
      "best-of-n on {} prompts with {} responses; means over the picks{}\n", result.num_prompts,
      result.num_candidates, has_after ? ", before -> after correction" : "");
  std::vector<std::vector<std::string>> rows = {{"n"}, {"KL, nats"}};
  if (has_after) rows.push_back({"same pick"});
  const std::size_t first = rows.size();
  for (const PickMeasure& measure : result.picks.front().measures) rows.push_back({measure.name});
  for (const PickMeasure& policy : result.picks.front().policies)
    rows.push_back({"share of " + policy.name});
  for (const PicksOfN& picks : result.picks) {
    rows[0].push_back(std::to_string(picks.n));
    rows[1].push_back(fmt::format("{:.2f}", picks.kl));
    if (has_after) rows[2].push_back(fmt::format("{:.3f}", picks.same_pick->value));
    std::size_t row = first;
    for (const PickMeasure& measure : picks.measures) rows[row++].push_back(change_text(measure));
    for (const PickMeasure& policy : picks.policies) rows[row++].push_back(change_text(policy));
  }
  return text + text_table(rows);
}

}  // namespace charm::evaluate
