#include <fmt/format.h>

#include <cmath>

#include "charm/explain/explain_stage.h"

namespace charm::explain {
namespace {

std::string interval_text(const std::optional<stats::Interval>& interval) {
  return interval ? fmt::format("[{:+.3f}, {:+.3f}]", interval->lo, interval->hi) : "";
}

std::string share_text(const std::optional<double>& share) {
  return share ? fmt::format("{:+.0f} %", 100.0 * *share) : "-";
}

void add_pair(std::string& text, const PairExplanation& pair) {
  text +=
      fmt::format("{} against {}, {} prompts: score gap {:+.3f} {}", pair.policy, pair.reference,
                  pair.num_prompts, pair.score_gap.value, interval_text(pair.score_gap.ci95));
  if (pair.offset) text += fmt::format(", offset {:+.3f}", pair.offset->value);
  text += fmt::format("\n  {:<22} {:>9} {:>10} {:>9} {:<18} {:>8} {:>10}\n", "feature", "effect",
                      "difference", "explains", "95 %", "of gap", "of offset");
  for (const FeatureEffect& effect : pair.effects) {
    text += fmt::format("  {:<22} {:>+9.3f} {:>+10.3f} {:>+9.3f} {:<18} {:>8} {:>10}\n",
                        effect.feature, effect.coefficient.value, effect.mean_difference,
                        effect.contribution.value, interval_text(effect.contribution.ci95),
                        share_text(effect.share_of_gap), share_text(effect.share_of_offset));
  }
  const auto total = [&](const char* name, const results::Estimate& value) {
    text += fmt::format("  {:<22} {:>9} {:>10} {:>+9.3f} {:<18}\n", name, "", "", value.value,
                        interval_text(value.ci95));
  };
  total("explained", pair.explained);
  total("unexplained", pair.unexplained);
  if (!pair.mismatch) return;
  text += fmt::format("  mismatch degree {:+.3f} {}", pair.mismatch->value,
                      interval_text(pair.mismatch->ci95));
  const auto matched = [&](const char* name, const std::optional<results::MatchedMismatch>& match) {
    if (!match) return;
    text += fmt::format("; {} {:+.3f} {}", name, match->mismatch.value,
                        interval_text(match->mismatch.ci95));
  };
  matched("at equal length", pair.length_matched);
  matched("at equal length and style", pair.style_matched);
  text += "\n";
}

std::string accuracy_text(const std::optional<results::Evaluation>& benchmark) {
  if (!benchmark) return "-";
  const auto value = benchmark->overall.find("overall");
  const auto partial = benchmark->overall.find("overall_partial");
  return value || partial ? fmt::format("{:.3f}", (value ? value : partial)->value) : "undefined";
}

void add_methods(std::string& text, const std::vector<results::Method>& methods) {
  const bool has_held_out = methods.front().held_out.has_value();
  text += fmt::format("methods on {} prompts:\n", has_held_out ? "held-out" : "fit");
  text += fmt::format("  {:<14} {:>9} {:<17} {:>9} {:>9} {:>12} {:>9}\n", "method", "mean |MD|",
                      "95 %", "Spearman", "Kendall", "RewardBench", "RM-Bench");
  for (const results::Method& method : methods) {
    const results::MethodCheck& check = method.held_out ? *method.held_out : method.fit;
    const auto& ci95 = check.mean_abs_mismatch.ci95;
    const auto correlation = [&](double value) {
      return std::isfinite(value) ? fmt::format("{:.3f}", value) : std::string("-");
    };
    text += fmt::format("  {:<14} {:>9.3f} {:<17} {:>9} {:>9} {:>12} {:>9}\n", method.name,
                        check.mean_abs_mismatch.value,
                        ci95 ? fmt::format("[{:.3f}, {:.3f}]", ci95->lo, ci95->hi) : "",
                        check.mean_score ? correlation(check.mean_score->spearman.value) : "-",
                        check.mean_score ? correlation(check.mean_score->kendall.value) : "-",
                        accuracy_text(method.reward_bench), accuracy_text(method.rm_bench));
  }
  text += "  (Spearman, Kendall: mean score against rating; offsets do not apply to benchmarks)\n";
}

}  // namespace

std::string explanation_text(const Explanation& explanation) {
  std::string text;
  for (const PairExplanation& pair : explanation.pairs) add_pair(text, pair);
  if (!explanation.methods.empty()) add_methods(text, explanation.methods);
  return text;
}

}  // namespace charm::explain
