#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/strings.h"
#include "charm/cli/command.h"
#include "charm/measure/measure_stage.h"
#include "charm/pipeline/sources.h"
#include "charm/stats/paired_scores.h"

namespace charm::cli {
namespace {

constexpr std::size_t kShownPairs = 5;

/// A larger matrix does not fit a terminal; the JSON always has it.
constexpr std::size_t kMatrixPolicies = 12;

std::string_view mark(const results::MismatchTest& test) {
  if (test.is_significant()) return "**";
  return test.p_value_bh < results::kSignificanceLevel ? "*" : "";
}

std::string_view mark(const results::Pair& pair) { return pair.test ? mark(*pair.test) : ""; }

/// Votes give pairs only.
bool has_policy_means(const results::Mismatch& mismatch) {
  return std::all_of(
      mismatch.policies.begin(), mismatch.policies.end(),
      [](const results::MeasuredPolicy& policy) { return policy.mean_mismatch && policy.test; });
}

/// One line per policy, the most over-valued first.
std::string policies_text(const results::Mismatch& mismatch) {
  std::vector<results::MeasuredPolicy> policies = mismatch.policies;
  std::stable_sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) {
    return a.mean_mismatch->value > b.mean_mismatch->value;
  });
  std::vector<std::vector<std::string>> rows = {
      {"  policy", "mean mismatch", "95 % interval", "prompts", ""}};
  for (const results::MeasuredPolicy& policy : policies) {
    const results::Estimate& mean = *policy.mean_mismatch;
    const std::string_view flag = mark(*policy.test);
    rows.push_back(
        {"  " + policy.policy, fmt::format("{:+.3f}", mean.value),
         mean.ci95 ? fmt::format("[{:+.3f}, {:+.3f}]", mean.ci95->lo, mean.ci95->hi) : "-",
         std::to_string(policy.num_prompts),
         flag.empty()
             ? ""
             : fmt::format("{:<12} {:<2}",
                           mean.value > 0.0 ? results::kOverValued : results::kUnderValued, flag)});
  }
  return text_table(rows);
}

/// Matrix of mismatch degrees of row over column; columns are numbered as the rows.
std::string matrix_text(const results::Mismatch& mismatch) {
  std::vector<std::vector<std::string>> rows = {{"mismatch of row over column"}};
  std::map<std::pair<std::string_view, std::string_view>, const results::Pair*> cells;
  for (const results::Pair& pair : mismatch.pairs) cells[{pair.policy, pair.reference}] = &pair;
  for (std::size_t i = 0; i < mismatch.policies.size(); ++i) {
    rows.front().push_back(fmt::format("{}  ", i + 1));
    rows.push_back({fmt::format("{} {}", i + 1, mismatch.policies[i].policy)});
    for (std::size_t j = 0; j < mismatch.policies.size(); ++j) {
      const auto cell = cells.find({mismatch.policies[i].policy, mismatch.policies[j].policy});
      if (cell == cells.end()) {
        rows.back().emplace_back("-  ");
        continue;
      }
      const results::Pair& pair = *cell->second;
      rows.back().push_back(fmt::format("{:+.2f}{:<2}", pair.before.mismatch.value, mark(pair)));
    }
  }
  return text_table(rows);
}

class MeasureCommand final : public Command {
 public:
  std::string_view name() const override { return "measure"; }
  std::string_view summary() const override { return "mismatch degree of every pair of policies"; }
  std::string_view details() const override {
    return "Compares each policy's win rate w under the reward model with the win rate e implied "
           "by its Arena rating. The mismatch degree is (w - e) / max(e, 1 - e); positive means "
           "over-valued by the reward model. A policy's mean over all others says whom the reward "
           "model flatters. p-values are corrected for multiple testing, over the policies and "
           "over all ordered pairs: ** marks p < 0.05 after Holm (controls the family-wise error "
           "rate), * after Benjamini-Hochberg (controls the false discovery rate); \"flag\" in "
           "the result is Holm's.\n"
           "\n"
           "  charm measure --scores scores/rm/*.parquet --ratings ratings.json --output "
           "mismatch.json\n"
           "\n"
           "With --votes (scored by charm score --votes) e is people's win rate on the same "
           "responses, "
           "and the agreement of the reward model with people is printed beside that of two "
           "people:\n"
           "\n"
           "  charm measure --votes votes.parquet --output mismatch.json";
  }
  void describe(OptionTable& table) override { measure::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.num_threads = static_cast<std::size_t>(common.threads);
    pipeline::fetch_dataset_source(options_.ratings, std::nullopt, common.offline, progress);
    const results::Mismatch result = measure::measure(options_, progress);
    if (common.quiet) return;
    if (result.votes) print_agreement(*result.votes);
    std::vector<results::Pair> pairs = result.pairs;
    std::vector<std::int64_t> num_common;
    num_common.reserve(pairs.size());
    for (const results::Pair& pair : pairs) num_common.push_back(pair.num_prompts);
    fmt::print("{}: {} policies, {}\n", options_.output.string(), result.policies.size(),
               stats::common_prompts_text(num_common, result.num_prompts));
    if (has_policy_means(result)) {
      fmt::print(
          "mean mismatch degree of each policy over all others (** p < {0} after Holm's correction "
          "for {1} policies, * after Benjamini-Hochberg's):\n{2}",
          results::kSignificanceLevel, result.policies.size(), policies_text(result));
    }
    if (result.policies.size() > 2 && result.policies.size() <= kMatrixPolicies)
      fmt::print("{}", matrix_text(result));
    const auto num_flagged = std::count_if(
        pairs.begin(), pairs.end(),
        [](const results::Pair& pair) { return pair.test && pair.test->is_significant(); });
    fmt::print("{} of {} ordered pairs are significantly mismatched (corrected for {} pairs)\n",
               num_flagged, pairs.size(), pairs.size());
    print_over_valued(std::move(pairs));
  }

 private:
  static void print_over_valued(std::vector<results::Pair> pairs) {
    std::erase_if(pairs,
                  [](const results::Pair& pair) { return pair.before.mismatch.value <= 0.0; });
    if (pairs.empty()) {
      fmt::print("no pair is over-valued\n");
      return;
    }
    std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
      return a.before.mismatch.value > b.before.mismatch.value;
    });
    if (pairs.size() > kShownPairs) pairs.resize(kShownPairs);
    fmt::print("most over-valued pairs (win rate, target, mismatch degree):\n");
    for (const results::Pair& pair : pairs) {
      fmt::print("  {} over {}: {:.3f} {:.3f} {:+.3f}{}\n", pair.policy, pair.reference,
                 pair.before.win_rate.value, pair.target.value, pair.before.mismatch.value,
                 mark(pair));
    }
  }

  static void print_agreement(const results::VoteAgreement& votes) {
    const auto print = [](std::string_view name, const results::Estimate& estimate,
                          std::int64_t count, std::string_view unit) {
      if (count == 0) return;
      fmt::print("{}: {:.3f}", name, estimate.value);
      if (estimate.ci95)
        fmt::print("  95 % [{:.3f}, {:.3f}]", estimate.ci95->lo, estimate.ci95->hi);
      fmt::print("  ({} {})\n", count, unit);
    };
    print("agreement with people", votes.accuracy, votes.num_decided, "decided votes");
    print("agreement of two people", votes.people, votes.num_people,
          "pairs of votes on the same responses");
    print("agreement of two people, both decided", votes.people_decided, votes.num_people_decided,
          "pairs of votes");
  }

  measure::MeasureOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_measure_command() { return std::make_unique<MeasureCommand>(); }

}  // namespace charm::cli
