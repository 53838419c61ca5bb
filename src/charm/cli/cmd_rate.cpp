#include <fmt/format.h>

#include <utility>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/rate/rate_stage.h"

namespace charm::cli {
namespace {

class RateCommand final : public Command {
 public:
  std::string_view name() const override { return "rate"; }
  std::string_view summary() const override { return "Elo ratings from pairwise human votes"; }
  std::string_view details() const override {
    return "Fits Bradley-Terry ratings to battles (model_a, model_b, winner; a tie is half a win "
           "and half a loss) on Chatbot Arena's scale: 400 points are a factor of 10 in the odds. "
           "The result is a ratings file for --ratings of the other commands.\n"
           "\n"
           "  charm rate --battles battles.jsonl --output ratings.json --anchor "
           "mixtral-8x7b-instruct-v0.1=1114";
  }
  void describe(OptionTable& table) override { rate::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.num_threads = static_cast<std::size_t>(common.threads);
    for (std::filesystem::path& battles : options_.battles)
      pipeline::fetch_dataset_source(battles, options_.read.split, common.offline, progress);
    const rate::Ratings result = rate::rate(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} models\n", options_.output.string(), result.models.size());
    for (const rate::ModelRating& model : result.models) {
      fmt::print("  {:8.2f}  95 % [{:.2f}, {:.2f}]  {:>7} battles  {}\n", model.rating_elo,
                 model.rating_ci95.lo, model.rating_ci95.hi, model.num_battles, model.model);
    }
    for (const rate::StyleCoefficient& style : result.styles) {
      fmt::print("  {:<8} {:+.4f}  95 % [{:+.4f}, {:+.4f}] log odds per standard deviation\n",
                 style.feature, style.value, style.ci95.lo, style.ci95.hi);
    }
    for (const auto& [name, parameter] : {std::pair{"order effect, log odds", result.order_effect},
                                          {"tie parameter", result.tie_parameter}}) {
      if (!parameter) continue;
      fmt::print("  {} {:+.4f}  95 % [{:+.4f}, {:+.4f}]\n", name, parameter->value,
                 parameter->ci95.lo, parameter->ci95.hi);
    }
  }

 private:
  rate::RateOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_rate_command() { return std::make_unique<RateCommand>(); }

}  // namespace charm::cli
