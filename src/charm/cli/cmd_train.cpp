#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/train/train_stage.h"

namespace charm::cli {
namespace {

class TrainCommand final : public Command {
 public:
  std::string_view name() const override { return "train"; }
  std::string_view summary() const override {
    return "fine-tune a reward model on preference pairs";
  }
  std::string_view details() const override {
    return "Fine-tunes all weights with the Bradley-Terry loss -log sigmoid(r_chosen - "
           "r_rejected), AdamW and a cosine schedule, starting from the model's own reward head; "
           "--new-head adds a head to a causal language model. Writes a Hugging Face folder.\n"
           "\n"
           "  charm train --model rm/ --preferences preferences.parquet --output rm-calibrated/";
  }
  void describe(OptionTable& table) override { train::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.threads = common.threads;
    options_.fresh = common.fresh;
    pipeline::fetch_model_source(options_.model, options_.source, common.offline, progress);
    const train::TrainResult result = train::train(options_, progress);
    if (common.quiet) return;
    if (!result.finished) {
      fmt::print(
          "stopped at a checkpoint (--stop-after-steps); run the same command again to resume\n");
      return;
    }
    fmt::print("{}: {} training pairs, {} step{} of {}", options_.output.string(),
               result.num_train_pairs, result.num_steps, result.num_steps == 1 ? "" : "s",
               result.pairs_per_step);
    if (result.final_train_loss)
      fmt::print(", final training loss {:.4f}", *result.final_train_loss);
    fmt::print("\n");
    if (result.eval_before && result.eval_after) {
      fmt::print("held-out ({} pairs): accuracy {:.3f} -> {:.3f}, loss {:.4f} -> {:.4f}\n",
                 result.eval_after->num_pairs, result.eval_before->accuracy,
                 result.eval_after->accuracy, result.eval_before->loss, result.eval_after->loss);
    }
  }

 private:
  train::TrainOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_train_command() { return std::make_unique<TrainCommand>(); }

}  // namespace charm::cli
