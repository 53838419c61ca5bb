#include <fmt/format.h>

#include "charm/calibrate/calibrate_stage.h"
#include "charm/calibrate/calibration.h"
#include "charm/cli/command.h"
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
           "--output calibration.json";
  }
  void describe(OptionTable& table) override { calibrate::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    if (options_.reference.empty())
      throw Error(ErrorKind::kUsage, "--reference is required: the policy with offset 0");
    options_.solve.num_threads = static_cast<std::size_t>(common.threads);
    const calibrate::Calibration result = calibrate::calibrate(options_, progress);
    if (common.quiet) return;
    fmt::print(
        "{}: {} policies, {}, reference {}\n", options_.output.string(), result.policies.size(),
        prompts_text(result.pairs, result.other_pairs, result.num_prompts), result.reference);
    for (const calibrate::CalibratedPolicy& policy : result.policies) {
      std::string interval;
      if (policy.offset_ci95)
        interval = fmt::format("  95 % [{:+.4f}, {:+.4f}]", policy.offset_ci95->lo,
                               policy.offset_ci95->hi);
      fmt::print("  offset {:+.4f}{}  {}\n", policy.offset, interval, policy.policy);
    }
    for (const calibrate::CalibratedPair& pair : result.pairs) {
      fmt::print(
          "  {} over {}: win rate {:.3f} -> {:.3f}, target {:.3f}, mismatch degree {:+.3f} -> "
          "{:+.3f}\n",
          pair.policy, pair.reference, pair.win_rate_before, pair.win_rate_after,
          pair.target_win_rate, pair.mismatch_before, pair.mismatch_after);
    }
    print_mean("fit prompts", calibrate::mean_mismatch(result.pairs, result.other_pairs));
    print_leave_one_out(result);
    if (!result.held_out) return;
    const calibrate::HeldOut& held_out = *result.held_out;
    for (const calibrate::CalibratedPair& pair : held_out.pairs) {
      fmt::print(
          "  held-out, {} over {}: win rate {:.3f} -> {:.3f}, target {:.3f}, mismatch degree "
          "{:+.3f} -> {:+.3f}\n",
          pair.policy, pair.reference, pair.win_rate_before, pair.win_rate_after,
          pair.target_win_rate, pair.mismatch_before, pair.mismatch_after);
    }
    print_mean("held-out prompts, " +
                   prompts_text(held_out.pairs, held_out.other_pairs, held_out.num_prompts),
               calibrate::mean_mismatch(held_out.pairs, held_out.other_pairs));
  }

 private:
  static std::string prompts_text(const std::vector<calibrate::CalibratedPair>& pairs,
                                  const std::vector<calibrate::CalibratedPair>& other_pairs,
                                  std::int64_t num_prompts) {
    std::vector<std::int64_t> num_common;
    for (const auto* list : {&pairs, &other_pairs}) {
      for (const calibrate::CalibratedPair& pair : *list) num_common.push_back(pair.num_prompts);
    }
    return stats::common_prompts_text(num_common, num_prompts);
  }
  static void print_leave_one_out(const calibrate::Calibration& result) {
    for (const calibrate::HeldOutPolicy& one : result.held_out_policies) {
      const calibrate::HeldOutPolicyCheck& check = one.held_out ? *one.held_out : one.fit;
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
  static void print_mean(const std::string& where, const calibrate::MeanMismatch& mean) {
    fmt::print("  mean |mismatch degree| on {}: {:.3f} -> {:.3f} (sampling noise: {:.3f})\n", where,
               mean.before, mean.after, mean.sampling_noise);
  }

  calibrate::CalibrateOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_calibrate_command() { return std::make_unique<CalibrateCommand>(); }

}  // namespace charm::cli
