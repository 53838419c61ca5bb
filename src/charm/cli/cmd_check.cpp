#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "charm/cli/command.h"
#include "charm/pipeline/check.h"

namespace charm::cli {
namespace {

class CheckCommand final : public Command {
 public:
  std::string_view name() const override { return "check"; }
  std::string_view summary() const override { return "all that is known of a recipe before a run"; }
  std::string_view details() const override {
    return "Checks a recipe before any work: keys and values, ratings of all policies, the reward "
           "model's head, tokenizer and chat template, the number of common prompts on both sides "
           "of the split, benchmark files, memory and free disk; and estimates the time. Lists all "
           "problems, and ends as charm run would: with the exit code of the problems' kind (3: "
           "the recipe or a file it names, 4: a file that is missing, a disk that is full, 6: "
           "memory), 3 where they are of several kinds.\n"
           "\n"
           "  charm check recipe.yaml";
  }
  void describe(OptionTable& table) override {
    table.path("recipe", recipe_, "RECIPE", "The YAML file.")
        .required()
        .positional()
        .flag("json", json_, "Print JSON.");
  }
  void run(const CommonOptions& common, const ProgressFn&) override {
    pipeline::Problems problems;
    const pipeline::Recipe recipe = pipeline::read_recipe(recipe_, problems);
    const pipeline::RecipeCheck check =
        pipeline::check_recipe(recipe, std::move(problems), common.threads);
    if (json_) {
      fmt::print("{}\n",
                 check_json(recipe, check)
                     .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else if (!common.quiet || !check.problems.empty()) {
      fmt::print("{}", check_text(recipe, check));
    }
    check.problems.throw_all(recipe_);
  }

 private:
  fs::path recipe_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_check_command() { return std::make_unique<CheckCommand>(); }

}  // namespace charm::cli
