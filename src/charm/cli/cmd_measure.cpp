#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "charm/cli/command.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

constexpr std::size_t kShownPairs = 5;

class MeasureCommand final : public Command {
 public:
  std::string_view name() const override { return "measure"; }
  std::string_view summary() const override { return "mismatch degree of every pair of policies"; }
  std::string_view details() const override {
    return "Compares each policy's win rate under the reward model with the win rate its Arena rating implies. The mismatch degree is "
           "(w - e) / max(e, 1 - e); positive means over-valued by the reward model.\n"
           "\n"
           "  charm measure --scores scores/rm/*.parquet --ratings ratings.json --output mismatch.json";
  }
  void describe(pipeline::OptionTable& table) override {
    table.paths("scores", options_.scores, "FILE", "Files of charm score, one or more policies each.")
        .required()
        .path("ratings", options_.ratings, "FILE", "Arena ratings in Elo points: {\"name\": 1273}, a list, CSV or a catalogue.")
        .required()
        .path("output", options_.output, "FILE", "mismatch.json to write.")
        .required();
    pipeline::describe_ratings(table, options_.category, options_.aliases);
    pipeline::describe_measure(table, options_);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.num_threads = static_cast<std::size_t>(common.threads);
    const measure::Mismatch result = measure::measure(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} policies, {} prompts\n", options_.output.string(), result.policies.size(), result.num_prompts);
    std::vector<measure::MismatchPair> pairs = result.pairs;
    std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.mismatch > b.mismatch; });
    if (pairs.size() > kShownPairs) pairs.resize(kShownPairs);
    fmt::print("most over-valued pairs (win rate, target, mismatch degree):\n");
    for (const measure::MismatchPair& pair : pairs) {
      fmt::print("  {} over {}: {:.3f} {:.3f} {:+.3f}\n", pair.policy, pair.reference, pair.win_rate, pair.target_win_rate,
                 pair.mismatch);
    }
  }

 private:
  measure::MeasureOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_measure_command() { return std::make_unique<MeasureCommand>(); }

}  // namespace charm::cli
