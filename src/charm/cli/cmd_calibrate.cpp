#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/calibrate/calibrate_stage.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/stats/paired_scores.h"

namespace charm::cli {
namespace {

class CalibrateCommand final : public Command {
 public:
  std::string_view name() const override { return "calibrate"; }
  std::string_view summary() const override {
    return "one offset per policy that equalises win rates with the ratings";
  }
  std::string_view details() const override {
    return "Finds one offset per policy, in score units, that makes its win rate against the "
           "reference equal the one implied by the ratings. With three or more policies the "
           "offsets are fitted jointly by least squares over all pairs.\n"
           "\n"
           "  charm calibrate --scores scores/rm/*.parquet --ratings ratings.json --reference gpt4 "
           "--output calibration.json\n"
           "\n"
           "With --votes (scored by charm score --votes) the offsets, a temperature and, with "
           "--style "
           "fastchat, style weights are fitted to people's choices between the same two "
           "responses:\n"
           "\n"
           "  charm calibrate --votes votes.parquet --reference gpt4 --style fastchat --output "
           "calibration.json";
  }
  void describe(OptionTable& table) override { calibrate::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.solve.num_threads = static_cast<std::size_t>(common.threads);
    if (!options_.ratings.empty())
      pipeline::fetch_dataset_source(options_.ratings, std::nullopt, common.offline, progress);
    const results::Calibration result = calibrate::calibrate(options_, progress);
    if (common.quiet) return;
    fmt::print(
        "{}: {} policies, {}, reference {}\n", options_.output.string(), result.policies.size(),
        result.votes
            ? fmt::format("{} votes on {} prompts", result.votes->num_votes, result.num_prompts)
            : prompts_text(result.pairs, result.other_pairs, result.num_prompts),
        result.reference);
    if (result.votes) print_votes(*result.votes);
    for (const results::CalibratedPolicy& policy : result.policies) {
      std::string interval;
      if (policy.offset.ci95)
        interval = fmt::format("  95 % [{:+.4f}, {:+.4f}]", policy.offset.ci95->lo,
                               policy.offset.ci95->hi);
      fmt::print("  offset {:+.4f}{}  {}\n", policy.offset.value, interval, policy.policy);
    }
    for (const results::Pair& pair : result.pairs) {
      fmt::print(
          "  in-sample, {} over {}: win rate {:.3f} -> {:.3f}, target {:.3f}, mismatch degree "
          "{:+.3f} -> "
          "{:+.3f}\n",
          pair.policy, pair.reference, pair.before.win_rate.value, pair.after->win_rate.value,
          pair.target.value, pair.before.mismatch.value, pair.after->mismatch.value);
    }
    print_mean("the prompts it was fitted to (in-sample)", *result.mean);
    print_leave_one_out(result);
    if (!result.held_out) return;
    const results::HeldOut& held_out = *result.held_out;
    for (const results::Pair& pair : held_out.pairs) {
      fmt::print(
          "  held-out, {} over {}: win rate {:.3f} -> {:.3f}, target {:.3f}, mismatch degree "
          "{:+.3f} -> {:+.3f}\n",
          pair.policy, pair.reference, pair.before.win_rate.value, pair.after->win_rate.value,
          pair.target.value, pair.before.mismatch.value, pair.after->mismatch.value);
    }
    print_mean("held-out prompts, " +
                   prompts_text(held_out.pairs, held_out.other_pairs, held_out.num_prompts),
               *held_out.mean);
  }

 private:
  static std::string prompts_text(const std::vector<results::Pair>& pairs,
                                  const std::vector<results::Pair>& other_pairs,
                                  std::int64_t num_prompts) {
    std::vector<std::int64_t> num_common;
    for (const auto* list : {&pairs, &other_pairs}) {
      for (const results::Pair& pair : *list) num_common.push_back(pair.num_prompts);
    }
    return stats::common_prompts_text(num_common, num_prompts);
  }
  static void print_votes(const results::VoteFit& votes) {
    const auto print = [](const std::string& name, const results::Estimate& estimate) {
      fmt::print("  {} {:.4f}", name, estimate.value);
      if (estimate.ci95)
        fmt::print("  95 % [{:.4f}, {:.4f}]", estimate.ci95->lo, estimate.ci95->hi);
      fmt::print("\n");
    };
    print("temperature", votes.temperature);
    for (const results::StyleWeight& weight : votes.style_weights)
      print("style weight of " + weight.feature, weight.weight);
    if (votes.tie_parameter) print("tie parameter nu", *votes.tie_parameter);
    fmt::print("  log-loss of a vote {:.4f}\n", votes.log_loss);
  }
  static void print_leave_one_out(const results::Calibration& result) {
    for (const results::HeldOutPolicy& one : result.held_out_policies) {
      const results::HeldOutPolicyCheck& check = one.held_out ? *one.held_out : one.fit;
      std::string interval;
      if (check.change_ci95)
        interval = fmt::format(", change 95 % [{:+.3f}, {:+.3f}]", check.change_ci95->lo,
                               check.change_ci95->hi);
      fmt::print(
          "  leave-one-out, {}: mean |mismatch degree| {:.3f} -> {:.3f}{}; with its own offset "
          "{:.3f}\n",
          one.policy, check.before, check.after, interval, check.with_all);
    }
  }
  static void print_mean(const std::string& where, const results::MeanMismatch& mean) {
    fmt::print("  mean |mismatch degree| on {}: {:.3f} -> {:.3f} (sampling noise: {:.3f})\n", where,
               mean.before, mean.after, mean.sampling_noise);
  }

  calibrate::CalibrateOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_calibrate_command() { return std::make_unique<CalibrateCommand>(); }

}  // namespace charm::cli
